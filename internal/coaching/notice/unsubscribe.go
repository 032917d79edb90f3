package notice

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	htmltemplate "html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// UnsubscribePath is where UnsubscribeHandler belongs.
const UnsubscribePath = "/unsubscribe"

const macSize = 16

var unsubscribePage = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/unsubscribe.html"))

// mailed are the types that a mail can be unsubscribed from, by their number in a token: only add at the end.
var mailed = []Type{SessionScheduled, SessionRescheduled, SessionCancelled, SessionReminder, InsightsReady, ActionAssigned, ActionDue, Mention,
	WeeklyDigest, dailyDigest}

// unsubscribeURL is a link that lets whoever holds it stop mails of one type to one person, and nothing else. It does not
// expire: a mail may be found again after years. It is in the query, which no log holds.
func (s *Service) unsubscribeURL(ctx context.Context, org, user id.UUID, t Type) (string, error) {
	secret, err := postgres.Secret(ctx, s.db, "unsubscribe_keys", org, sha256.Size)
	if err != nil {
		return "", err
	}
	claims := slices.Concat(org[:], user[:], []byte{byte(slices.Index(mailed, t))})
	return s.Pages.Server() + UnsubscribePath + "?t=" + base64.RawURLEncoding.EncodeToString(append(claims, sign(secret, claims)...)), nil
}

func sign(secret, claims []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("unsubscribe\x00"))
	mac.Write(claims)
	return mac.Sum(nil)[:macSize]
}

// subscription is what a token names.
type subscription struct {
	org, user id.UUID
	typ       Type
}

// open reads a token, or returns NotFound.
func (s *Service) open(ctx context.Context, token string) (sub subscription, err error) {
	unknown := fault.NotFound("subscription")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != len(sub.org)+len(sub.user)+1+macSize {
		return sub, unknown
	}
	claims, mac := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	copy(sub.org[:], claims)
	copy(sub.user[:], claims[len(sub.org):])
	var secret []byte
	err = s.db.QueryRow(ctx, `SELECT secret FROM unsubscribe_keys WHERE org_id = $1`, sub.org).Scan(&secret)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !hmac.Equal(mac, sign(secret, claims)) {
		return sub, unknown
	}
	if n := int(claims[len(claims)-1]); n < len(mailed) {
		sub.typ = mailed[n]
		return sub, err
	}
	return sub, unknown
}

// unsubscribe stops the mails of a type, or all. Doing it twice is doing it once.
func (s *Service) unsubscribe(ctx context.Context, sub subscription, all bool) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		r, err := s.recipient(ctx, tx, sub.org, sub.user)
		if err != nil || r == nil {
			return err
		}
		if all {
			if _, err := Suppress(ctx, tx, []id.UUID{sub.org}, r.address.Email, Unsubscribed, s.now()); err != nil {
				return err
			}
		} else {
			off := Off
			for _, p := range r.settings.Types {
				// The daily digest is no type of its own: who wants none wants nothing that comes with it.
				if p.Type == sub.typ || sub.typ == dailyDigest && p.Email == Digest && p.Type != WeeklyDigest {
					if err := prefer(ctx, tx, sub.org, sub.user, PreferenceInput{Type: p.Type, Email: &off}); err != nil {
						return err
					}
				}
			}
		}
		return audit.Record(ctx, tx, auth.Viewer{Org: sub.org, User: sub.user},
			audit.Entry{Action: "notification.unsubscribe", Kind: "user", ID: sub.user, Fields: []string{"email"}})
	})
}

// UnsubscribeHandler is one-click unsubscription (RFC 8058), without a login and without cookies: a POST to a link that a
// mail carries does it, a GET, which programs that look into mails send as well, only asks.
func (s *Service) UnsubscribeHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, HEAD, POST")
			s.answer(w, http.StatusMethodNotAllowed, "This does not work", "Open the link in a browser.", false)
			return
		}
		sub, err := s.open(r.Context(), r.URL.Query().Get("t"))
		if err == nil && r.Method == http.MethodPost {
			if perr := r.ParseForm(); perr != nil {
				s.answer(w, http.StatusBadRequest, "This does not work", "What was sent cannot be read.", false)
				return
			}
			err = s.unsubscribe(r.Context(), sub, r.PostForm.Get("all") == "yes")
		}
		switch {
		case fault.KindOf(err) == fault.KindNotFound && err != nil:
			s.answer(w, http.StatusNotFound, "This link is not valid", "It may have been cut off. Copy all of it from the mail.", false)
		case err != nil:
			s.answer(w, http.StatusServiceUnavailable, "This does not work now", "Try again in a few minutes.", false)
		case r.Method == http.MethodPost && r.PostForm.Get("all") == "yes":
			s.answer(w, http.StatusOK, "No more mails", "You will get no mails any more, except what you ask for yourself.", false)
		case r.Method == http.MethodPost:
			s.answer(w, http.StatusOK, "Done", "You will get no more "+what(sub.typ)+".", false)
		default:
			s.answer(w, http.StatusOK, "Stop these mails?", "You get "+what(sub.typ)+".", true)
		}
	})
}

// what names the mails of a type.
func what(t Type) string {
	switch t {
	case dailyDigest:
		return "a daily digest by mail"
	case WeeklyDigest:
		return "a weekly digest by mail"
	}
	return "mails of this kind: " + strings.ToLower(strings.ReplaceAll(string(t), "_", " "))
}

func (s *Service) answer(w http.ResponseWriter, status int, title, text string, ask bool) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address is a key
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = unsubscribePage.Execute(w, struct { // a client gone is no matter
		Title, Text, Preferences string
		Ask                      bool
	}{title, text, s.Pages.Preferences(), ask})
}
