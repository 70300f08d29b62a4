//go:build !race

package systemtest

// raceDetector says that the tests run with the race detector.
const raceDetector = false
