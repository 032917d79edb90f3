package local

import (
	"errors"
	"os"
	"path/filepath"
)

// makeAll makes dir and its missing parents with mode 755 whatever our umask is, and leaves existing ones as they
// are.
func makeAll(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
		return nil // somebody was faster
	} else if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}
