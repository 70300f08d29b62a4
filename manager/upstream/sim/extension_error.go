package sim

// An ExtensionError says which member of the extension `sim` is wrong and which
// rule it breaks. It quotes no value, so that it can be told to callers.
type ExtensionError struct {
	// Field is the path of the wrong member, such as `extensions.sim.tokens`. It
	// ends at `extensions.sim` if the fault is the extension's own or the member's
	// name is not fit to be repeated.
	Field   string
	Problem string // what is wrong, to be read after Field
}

func newExtensionError(member, problem string) *ExtensionError {
	field := "extensions." + extensionName
	switch {
	case memberName.MatchString(member):
		field += "." + member
	case member != "":
		problem = "has a member that the simulator does not know"
	}
	return &ExtensionError{Field: field, Problem: problem}
}

// Error returns the path and the rule.
func (e *ExtensionError) Error() string { return e.Field + ": " + e.Problem }
