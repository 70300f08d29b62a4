package main

import (
	"net"
	"regexp"
	"strings"
)

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// examples returns lines to paste into a second terminal. program is sauron as it
// was started, a where it listens.
func examples(program string, a net.Addr) string {
	address := ""
	if reachable := reach(a); reachable != defaultAddress {
		address = " --address " + reachable
	}
	program = shellQuote(program)
	return strings.NewReplacer("SAURON", program, "ADDRESS", address).Replace(`
The built-in simulator answers: what it says is made up. In a second terminal:

  SAURON generateADDRESS "Why is the sky blue?"
  SAURON generateADDRESS --count 20 "Why is the sky blue?"
  SAURON generateADDRESS --request-id demo "Why is the sea salt?" & sleep 1; SAURON cancelADDRESS demo

`)
}

// reach returns an address by which this machine reaches a, which may be that of
// all interfaces.
func reach(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	local := *tcp
	local.IP = net.IPv4(127, 0, 0, 1)
	return local.String()
}

// shellQuote returns s as one word of a POSIX shell.
func shellQuote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
