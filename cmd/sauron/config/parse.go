package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// The parsers below quote the value that they refuse, unless it may hold a
// secret; the caller says where it stands.

// into returns a setter that parses a value into p, and leaves p alone if the
// value is wrong.
func into[T any](p *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err != nil {
			return err
		}
		*p = v
		return nil
	}
}

// orEmpty also takes the empty text, which means none.
func orEmpty(parse func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return parse(s)
	}
}

func anyText(s string) (string, error) { return s, nil }

func text(s string) (string, error) {
	if s == "" {
		return "", errors.New("must not be empty")
	}
	return s, nil
}

func boolean(s string) (bool, error) {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is not true or false", s)
	}
	return v, nil
}

// count takes whole numbers from least to most.
func count(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		v, err := strconv.Atoi(s)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return 0, fmt.Errorf("%q is not a whole number", s)
		case v < least:
			return 0, fmt.Errorf("%q must be at least %d", s, least)
		case v > most:
			return 0, fmt.Errorf("%q must be at most %d", s, most)
		}
		return v, nil
	}
}

func duration(least, most time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		v, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%q is not a duration, such as 500ms, 10s or 2m", s)
		case v < least:
			return 0, fmt.Errorf("%q must be at least %v", s, least)
		case v > most:
			return 0, fmt.Errorf("%q must be at most %v", s, most)
		}
		return v, nil
	}
}

// size takes bytes, as a plain number or with a unit, from 1 to most.
func size(most int64) func(string) (int64, error) {
	return func(s string) (int64, error) {
		v, err := humanize.ParseBytes(s)
		// A comma groups digits for humanize and is a decimal point for half of
		// the world, so it is refused.
		if err != nil || strings.Contains(s, ",") {
			return 0, fmt.Errorf("%q is not a size, such as 1048576 or 16 MiB", s)
		}
		if v < 1 {
			return 0, fmt.Errorf("%q must be at least 1 byte", s)
		}
		if v > uint64(most) {
			return 0, fmt.Errorf("%q must be at most %d bytes", s, most)
		}
		return int64(v), nil
	}
}

// hostPort takes an address to listen on; the host may be left out.
func hostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(s, " \t\r\n/") {
		return "", fmt.Errorf("%q is not an address, such as 127.0.0.1:50051 or :50051", s)
	}
	return s, nil
}

// target takes a gRPC target: host:port, dns:///host:port or unix:path. It is
// stricter than gRPC, which takes a missing port for 443.
func target(s string) (string, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok && strings.Trim(path, "/") != "" {
		return s, nil
	}
	endpoint := strings.TrimPrefix(s, "dns:///")
	if host, _, err := net.SplitHostPort(endpoint); err == nil && host != "" {
		if _, err := hostPort(endpoint); err == nil {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is not a gRPC target, such as dns:///retrieval.svc:50052 or unix:/run/hook.sock", s)
}

// baseURL takes the address of an OpenAI-compatible API and returns it without
// the slashes at its end.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err == nil && u.User != nil, strings.Contains(s, "@"):
		return "", errors.New("must not hold a user or a password")
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Fragment != "":
		return "", fmt.Errorf("%q is not a base URL, such as http://127.0.0.1:8000/v1", s)
	}
	return strings.TrimRight(s, "/"), nil
}

// oneOf takes one of a few words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if slices.Contains(words, T(s)) {
			return T(s), nil
		}
		names := make([]string, len(words))
		for i, w := range words {
			names[i] = string(w)
		}
		return "", fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
	}
}

// coalescing reports whether s asks for sharing.
func coalescing(s string) (bool, error) {
	v, err := oneOf("live", "off")(s)
	return v == "live", err
}

func logLevel(s string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("%q is not one of debug, info, warn, error", s)
	}
	return l, nil
}
