// Package devbox is the mail adapter of one machine: mails go into a folder, as files that any mail program opens, and onto
// a page. Nothing leaves the machine.
package devbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	stdmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/platform/mail"
)

// keep is how many mails the folder holds; older ones go.
const keep = 500

// Box is the folder.
type Box struct {
	dir  string
	from mail.Address
	now  func() time.Time
}

var _ mail.Sender = (*Box)(nil)

// Open returns the box in the folder home/mail, which it makes if it is missing. Several processes may share it.
func Open(home string, from mail.Address) (*Box, error) {
	dir := filepath.Join(home, "mail")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("devbox: %w", err)
	}
	return &Box{dir: dir, from: from, now: time.Now}, nil
}

// Send implements mail.Sender. An id is remembered for as long as its mail is kept.
func (b *Box) Send(ctx context.Context, m mail.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	raw, err := m.MIME(b.from, b.now())
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(b.dir, ".incoming-*")
	if err != nil {
		return fmt.Errorf("devbox: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(raw)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("devbox: %w", err)
	}
	// A link, because it appears whole and fails if the id is there already.
	if err := os.Link(tmp.Name(), b.path(m.ID)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("devbox: %w", err)
	}
	return b.prune()
}

func (b *Box) path(id string) string { return filepath.Join(b.dir, id+".eml") }

// Mail is a mail in the box.
type Mail struct {
	mail.Message
	From mail.Address
	At   time.Time
}

// List returns the mails, the newest first.
func (b *Box) List() ([]Mail, error) {
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	all := make([]Mail, 0, len(names))
	for _, name := range names {
		m, err := b.Get(strings.TrimSuffix(name, ".eml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has pruned it
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// names of the files, the newest first.
func (b *Box) names() ([]string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, fmt.Errorf("devbox: %w", err)
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), ".eml") {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		if c := b.at.Compare(a.at); c != 0 {
			return c
		}
		return strings.Compare(b.name, a.name)
	})
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.name
	}
	return names, nil
}

func (b *Box) prune() error {
	names, err := b.names()
	if err != nil {
		return err
	}
	for _, name := range names[min(keep, len(names)):] {
		if err := os.Remove(filepath.Join(b.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("devbox: %w", err)
		}
	}
	return nil
}

// Get returns one mail, or fs.ErrNotExist.
func (b *Box) Get(id string) (Mail, error) {
	if id == "" || strings.ContainsAny(id, `./\`) {
		return Mail{}, fs.ErrNotExist
	}
	raw, err := os.ReadFile(b.path(id))
	if err != nil {
		return Mail{}, err
	}
	m, err := read(raw)
	m.ID = id
	return m, err
}

// Forget removes the mails of whose recipient, subject or text about is true.
func (b *Box) Forget(about func(text string) bool) error {
	all, err := b.List()
	if err != nil {
		return err
	}
	for _, m := range all {
		if slices.ContainsFunc([]string{m.To.Email, m.To.Name, m.Subject, m.Text, m.HTML}, about) {
			if err := os.Remove(b.path(m.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("devbox: %w", err)
			}
		}
	}
	return nil
}

// read is a mail as the recipient's program reads it.
func read(raw []byte) (m Mail, err error) {
	parsed, err := stdmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m, fmt.Errorf("devbox: %w", err)
	}
	if m.To, err = mail.ParseAddress(parsed.Header.Get("To")); err != nil {
		return m, err
	}
	if m.From, err = mail.ParseAddress(parsed.Header.Get("From")); err != nil {
		return m, err
	}
	if m.At, err = parsed.Header.Date(); err != nil {
		return m, err
	}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return m, err
	}
	m.Headers = map[string]string{}
	for name := range parsed.Header {
		if strings.HasPrefix(name, "List-") {
			m.Headers[name] = parsed.Header.Get(name)
		}
	}
	_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return m, err
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		content, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return m, err
		}
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			m.HTML = text
		} else {
			m.Text = text
		}
	}
}
