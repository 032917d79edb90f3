package disk

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

// transferTime is how long one file may take on its way: 32 MiB at 110 KB/s.
const transferTime = 5 * time.Minute

// maxRest is how much is read of a body that nobody wants.
const maxRest = 2 * blob.MaxBytes

// Handler serves the links: the signature is all the authority it asks for.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.URL.Path, Path)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		if method != http.MethodGet && method != http.MethodPut {
			w.Header().Set("Allow", "GET, HEAD, PUT")
			httpx.Problem{Status: http.StatusMethodNotAllowed, Code: string(fault.KindInvalid), Message: "send a GET or a PUT"}.Write(w)
			return
		}
		terms := r.URL.Query()
		given := terms.Get("signature")
		if !blob.ValidKey(key) || !hmac.Equal([]byte(given), []byte(s.sign(method, key, terms))) {
			forbidden(w, "LINK_INVALID", "this link is not valid for this request")
			return
		}
		if expires, err := strconv.ParseInt(terms.Get("expires"), 10, 64); err != nil || s.now().Unix() >= expires {
			forbidden(w, "LINK_EXPIRED", "this link has expired: ask for a new one")
			return
		}
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(transferTime))
		_ = control.SetWriteDeadline(time.Now().Add(transferTime))
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection's next request may be a stream
		if method == http.MethodPut {
			s.receive(w, r, key)
		} else {
			s.serve(w, r, key)
		}
	})
}

func forbidden(w http.ResponseWriter, code, message string) {
	httpx.Problem{Status: http.StatusForbidden, Code: code, Message: message}.Write(w)
}

// receive stores the body if it is the file that was announced.
func (s *Store) receive(w http.ResponseWriter, r *http.Request, key string) {
	terms := r.URL.Query()
	size, _ := strconv.ParseInt(terms.Get("size"), 10, 64) // signed, so well-formed
	announced, _ := blob.ParseSum(terms.Get("sha256"))
	refuse := func(format string, args ...any) {
		// Who is sending reads no answer until all is sent, and none at all if the connection is closed before. Who asks first has not begun.
		if r.Header.Get("Expect") == "" {
			_, _ = io.CopyN(io.Discard, r.Body, maxRest)
		}
		w.Header().Set("Connection", "close") // rather than read more than that
		httpx.Problem{Status: http.StatusBadRequest, Code: "UPLOAD_REFUSED", Message: fmt.Sprintf(format, args...)}.Write(w)
	}
	if got := r.Header.Get("Content-Type"); got != terms.Get("type") {
		refuse("the upload was announced with Content-Type %s", terms.Get("type"))
		return
	}
	if r.ContentLength >= 0 && r.ContentLength != size {
		refuse("the upload was announced with %d bytes, this request has %d", size, r.ContentLength)
		return
	}
	hash := sha256.New()
	var received int64
	body := &noting{Reader: io.LimitReader(r.Body, size+1)}
	tmp, err := write(filepath.Join(s.root, incoming), "upload-*", func(f io.Writer) (err error) {
		received, err = io.Copy(io.MultiWriter(f, hash), body)
		if body.err != nil {
			return errBrokenOff
		} else if err != nil {
			return err
		}
		if received != size || blob.Sum(hash.Sum(nil)) != announced {
			return errOther
		}
		return nil
	})
	switch {
	case err == nil:
		err = s.keep(tmp, key, announced)
	case errors.Is(err, errOther) && received != size:
		refuse("the upload was announced with %d bytes and has another length", size)
		return
	case errors.Is(err, errOther):
		refuse("the bytes do not have the SHA-256 that was announced")
		return
	case errors.Is(err, errBrokenOff):
		refuse("the upload broke off after %d of %d bytes", received, size)
		return
	}
	switch {
	case errors.Is(err, blob.ErrExists):
		httpx.Problem{Status: http.StatusConflict, Code: blob.ErrExists.Code, Message: blob.ErrExists.Message}.Write(w)
	case err != nil:
		httpx.Problem{Status: http.StatusServiceUnavailable, Code: string(fault.KindUnavailable), Message: "the file could not be stored: try again"}.Write(w)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

var (
	errOther     = errors.New("not the announced file")
	errBrokenOff = errors.New("broken off")
)

// noting remembers why reading failed: it is the sender's fault, and a failed write is ours.
type noting struct {
	io.Reader
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return read, err
}

// serve sends a file to be saved: a browser must never run what somebody has uploaded.
func (s *Store) serve(w http.ResponseWriter, r *http.Request, key string) {
	f, info, err := s.open(key)
	if fault.KindOf(err) == fault.KindNotFound {
		httpx.Problem{Status: http.StatusNotFound, Code: string(fault.KindNotFound), Message: "the file is not there (any more)"}.Write(w)
		return
	} else if err != nil {
		httpx.Problem{Status: http.StatusServiceUnavailable, Code: string(fault.KindUnavailable), Message: "the file cannot be read: try again"}.Write(w)
		return
	}
	defer f.Close()
	terms, h := r.URL.Query(), w.Header()
	h.Set("Content-Type", terms.Get("type"))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": terms.Get("filename")}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address is a key
	http.ServeContent(w, r, "", info.ModTime(), f)
}
