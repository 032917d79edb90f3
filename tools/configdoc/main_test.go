package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestPageIsFresh(t *testing.T) {
	src, err := os.ReadFile("../../" + source)
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(src)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is stale: go run ./tools/configdoc", page)
	}
}

func TestVariableWithoutCommentIsRefused(t *testing.T) {
	_, err := generate([]byte("package config\ntype Config struct {\n\tMode string `env:\"RAPPORT_MODE\"`\n}\n"))
	if err == nil || !strings.Contains(err.Error(), "RAPPORT_MODE") {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}
