package prepare

// NewDialed is New with more options for the hooks' connections.
var NewDialed = newRoutes
