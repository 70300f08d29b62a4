// Package child runs programs for those commands of this project that try it out.
package child
