package sesmail

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	stdmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/aws/awstest"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/mail/mailtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// account is an AWS account of its own at the emulator, whose requests are written down: it keeps no headers of mails.
type account struct {
	number string
	url    string

	mu   sync.Mutex
	sent map[string]request // by SES's name of the message
	fail func(*http.Request) (*http.Response, error)
}

type request struct {
	ConfigurationSetName string
	ReplyToAddresses     []string
	EmailTags            []struct{ Name, Value string }
	Content              struct{ Raw struct{ Data string } }
}

func (a *account) Do(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	fail := a.fail
	a.mu.Unlock()
	if fail != nil {
		if answer, err := fail(r); answer != nil || err != nil {
			return answer, err
		}
	}
	var q request
	if strings.HasSuffix(r.URL.Path, "/outbound-emails") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, err
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil || q.ConfigurationSetName == "" || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var named struct{ MessageId string }
	if err := errors.Join(err, json.Unmarshal(body, &named)); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[named.MessageId] = q
	return answer, nil
}

func (a *account) refuse(f func(*http.Request) (*http.Response, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = f
}

// answers is a refusal as SES writes it.
func answers(status int, code, message string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/outbound-emails") {
			return nil, nil
		}
		return &http.Response{
			StatusCode: status, Request: r, Header: http.Header{"X-Amzn-Errortype": {code}, "Content-Type": {"application/x-amz-json-1.1"}},
			Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"message": %q}`, message))),
		}, nil
	}
}

func (a *account) config() aws.Config {
	return aws.Config{Region: "eu-west-1", BaseEndpoint: &a.url, HTTPClient: a, Credentials: credentials.NewStaticCredentialsProvider(a.number, "test", "")}
}

var options = Options{From: mail.Address{Name: "Rapport für alle", Email: "coaching@example.com"}, ConfigurationSet: "rapport", Log: slog.New(slog.DiscardHandler)}

// setup makes an account that may send, and an organization.
func setup(t *testing.T, db *pgxpool.Pool) (*Sender, *account, id.UUID) {
	t.Helper()
	a := &account{number: fmt.Sprintf("%012d", rand.N(int64(1e12))), url: testkit.AWS(t), sent: map[string]request{}}
	s := New(a.config(), db, options)
	_, err := s.client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("example.com")})
	awstest.Made(t, err)
	_, err = s.client.CreateConfigurationSet(t.Context(), &sesv2.CreateConfigurationSetInput{ConfigurationSetName: aws.String("rapport")})
	awstest.Made(t, err)
	org := id.New()
	if _, err := db.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, org, "o-"+org.String()); err != nil {
		t.Fatal(err)
	}
	return s, a, org
}

// box is what the emulator says was sent, with the headers that it was given.
func (a *account) box(t *testing.T) (all []mail.Message) {
	t.Helper()
	r, err := http.Get(a.url + "/_ministack/ses/messages?account=" + a.number)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var said struct {
		Messages map[string][]struct {
			MessageId, Subject, BodyText, BodyHtml string
			To                                     []string
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range said.Messages[a.number] {
		q := a.sent[m.MessageId]
		raw, err := base64.StdEncoding.DecodeString(q.Content.Raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := stdmail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		got := mail.Message{
			Subject: m.Subject, Text: strings.ReplaceAll(m.BodyText, "\r\n", "\n"), HTML: strings.ReplaceAll(m.BodyHtml, "\r\n", "\n"), Headers: map[string]string{},
		}
		if got.To, err = mail.ParseAddress(parsed.Header.Get("To")); err != nil || fmt.Sprint(m.To) != "["+got.To.Email+"]" {
			t.Errorf("sent to %v, and it says %s (%v)", m.To, got.To, err)
		}
		for name := range parsed.Header {
			got.Headers[name] = parsed.Header.Get(name)
		}
		for _, tag := range q.EmailTags {
			if tag.Name == tagMessage {
				got.ID = tag.Value
			}
		}
		all = append(all, got)
	}
	return all
}

func TestConformance(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	mailtest.Run(t, func(t *testing.T) mailtest.Fixture {
		s, a, org := setup(t, db)
		return mailtest.Fixture{
			Org: org, Sender: s, Reopen: func(*testing.T) mail.Sender { return New(a.config(), db, options) }, Sent: a.box,
		}
	})
}

func message(org id.UUID) mail.Message {
	m := mailtest.Message(id.New().String())
	m.Org = org
	return m
}

// A mail says whose it is by ids and codes, carries what unsubscribes in one click, and answers go where they are wanted.
func TestWhatTravels(t *testing.T) {
	t.Parallel()
	s, a, org := setup(t, testkit.DB(t))
	s.options.ReplyTo = "Practice <hello@example.com>"
	m := message(org)
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := a.box(t)
	if len(got) != 1 {
		t.Fatalf("%d were sent", len(got))
	}
	h := got[0].Headers
	from, err := new(mime.WordDecoder).DecodeHeader(h["From"])
	if err != nil || from != `"Rapport für alle" <coaching@example.com>` && from != `Rapport für alle <coaching@example.com>` {
		t.Errorf("from %s, %v", from, err)
	}
	if h["Reply-To"] != s.options.ReplyTo || h["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" || h["List-Unsubscribe"] == "" {
		t.Errorf("headers: %v", h)
	}
	if m.Headers["Reply-To"] != "" {
		t.Error("the caller's message was changed")
	}
	for _, q := range a.sent {
		if q.ConfigurationSetName != "rapport" || fmt.Sprint(q.EmailTags) != fmt.Sprintf("[{organization %s} {message %s} {type SESSION_RESCHEDULED}]", org, m.ID) {
			t.Errorf("sent with %s %v", q.ConfigurationSetName, q.EmailTags)
		}
	}
}

// A process that dies after SES has answered leaves a claim. It holds for a while; then the message is sent again.
func TestAClaimIsLeftBehind(t *testing.T) {
	t.Parallel()
	s, a, org := setup(t, testkit.DB(t))
	m := message(org)
	if _, sent, err := s.claim(t.Context(), m); sent || err != nil {
		t.Fatal(sent, err)
	}
	soon, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Send(soon, m) }()
	before := s.db.Stat().AcquireCount()
	testkit.Eventually(t, 10*time.Second, func() error {
		if s.db.Stat().AcquireCount() < before+2 {
			return errors.New("it has not looked at the claim")
		}
		return nil
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || len(a.box(t)) != 0 {
		t.Errorf("sent under another's claim: %v", err)
	}
	if _, err := s.db.Exec(t.Context(), `UPDATE ses_messages SET claimed_at = now() - interval '61 seconds'`); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), m); err != nil || len(a.box(t)) != 1 {
		t.Errorf("%d were sent, %v", len(a.box(t)), err)
	}
}

// What SES refuses is called what the port calls it, by SES's code and never with its sentence, and can be sent when it is mended.
func TestRefusals(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	_, a, org := setup(t, db)
	cfg := a.config()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	s := New(cfg, db, options)
	m := message(org)
	for name, c := range map[string]struct {
		status        int
		code, message string
		rejected      bool
		kind          fault.Kind
	}{
		"content":              {400, "MessageRejected", "Message contains a virus: amara@example.com", true, fault.KindInvalid},
		"an address":           {400, "BadRequestException", "Missing final '@domain' amara@example.com", true, fault.KindInvalid},
		"sender not verified":  {400, "MessageRejected", "Email address is not verified. The following identities failed the check in region EU-WEST-1: coaching@example.com", false, fault.KindUnavailable},
		"domain of MAIL FROM":  {400, "MailFromDomainNotVerifiedException", "amara@example.com", false, fault.KindUnavailable},
		"account suspended":    {400, "AccountSuspendedException", "amara@example.com", false, fault.KindUnavailable},
		"sending paused":       {400, "SendingPausedException", "amara@example.com", false, fault.KindUnavailable},
		"no configuration set": {404, "NotFoundException", "amara@example.com", false, fault.KindUnavailable},
		"too fast":             {429, "TooManyRequestsException", "Maximum sending rate exceeded. amara@example.com", false, fault.KindLimited},
		"too many in a day":    {400, "LimitExceededException", "Daily message quota exceeded. amara@example.com", false, fault.KindLimited},
		"a new word":           {400, "SomethingNewException", "amara@example.com", false, fault.KindInternal},
	} {
		a.refuse(answers(c.status, c.code, c.message))
		err := s.Send(t.Context(), m)
		if errors.Is(err, mail.ErrRejected) != c.rejected || fault.KindOf(err) != c.kind || strings.Contains(fmt.Sprintf("%+v", err), "@") {
			t.Errorf("%s: %v (%s)", name, err, fault.KindOf(err))
		}
	}
	a.refuse(func(*http.Request) (*http.Response, error) { return nil, errors.New("no way") })
	if err := s.Send(t.Context(), m); err == nil || errors.Is(err, mail.ErrRejected) || fault.KindOf(err) != fault.KindInternal {
		t.Errorf("nobody there: %v", err)
	}
	a.refuse(nil)
	if err := s.Send(t.Context(), m); err != nil || len(a.box(t)) != 1 {
		t.Errorf("afterwards %d were sent, %v", len(a.box(t)), err)
	}
}

// The emulator refuses a sender that nobody has verified, with SES's own sentence.
func TestUnverifiedSender(t *testing.T) {
	t.Parallel()
	s, a, org := setup(t, testkit.DB(t))
	s.options.From.Email = "coaching@example.org"
	if err := s.Send(t.Context(), message(org)); !errors.Is(err, errUnverified) && fault.KindOf(err) != fault.KindUnavailable || len(a.box(t)) != 0 {
		t.Errorf("sent %d: %v", len(a.box(t)), err)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	s, _, _ := setup(t, testkit.DB(t))
	if err := s.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.client.PutConfigurationSetSendingOptions(t.Context(), &sesv2.PutConfigurationSetSendingOptionsInput{ConfigurationSetName: aws.String("rapport")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Reach(t.Context()); !errors.Is(err, errPaused) {
		t.Errorf("paused: %v", err)
	}
	s.options.ConfigurationSet = "none"
	if err := s.Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("no configuration set: %v", err)
	}
}
