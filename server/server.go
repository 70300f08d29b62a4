package server

import (
	"context"
	"net"
)

// A Server serves gRPC and the admin HTTP listener.
type Server struct{}

// New listens on both addresses.
func New(cfg Config) (*Server, error) { return &Server{}, nil }

// Addr returns the gRPC listener's address.
func (s *Server) Addr() net.Addr { return nil }

// AdminAddr returns the admin listener's address, or nil.
func (s *Server) AdminAddr() net.Addr { return nil }

// Run serves until ctx ends, then drains. It returns early when now is closed.
func (s *Server) Run(ctx context.Context, now <-chan struct{}) error { return nil }
