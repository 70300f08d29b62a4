package client

// A CancelError is a context that ended while the request could not be cancelled: it
// may still run, until its lease at the server ends.
type CancelError struct {
	Cause error // why the context ended
	Err   error // the status of the Cancel
}

// Error says both.
func (e *CancelError) Error() string {
	return e.Cause.Error() + ", but not cancelled: " + e.Err.Error()
}

// Unwrap returns both.
func (e *CancelError) Unwrap() []error { return []error{e.Cause, e.Err} }
