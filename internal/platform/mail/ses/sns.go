package sesmail

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// envelope is a notification of SNS as it lies in a queue.
type envelope struct {
	Type             string
	MessageID        string `json:"MessageId"`
	TopicArn         string
	Subject          *string
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
}

// signed is what SNS signs of a notification.
func (e envelope) signed() []byte {
	var b strings.Builder
	add := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	add("Message", e.Message)
	add("MessageId", e.MessageID)
	if e.Subject != nil {
		add("Subject", *e.Subject)
	}
	add("Timestamp", e.Timestamp)
	add("TopicArn", e.TopicArn)
	add("Type", e.Type)
	return []byte(b.String())
}

const (
	// maxAge is how old a notification may be: no queue of SQS keeps one for longer, so what is older was kept by somebody else.
	maxAge = 14 * 24 * time.Hour
	// maxAhead is how far clocks may differ.
	maxAhead = 15 * time.Minute
)

// ErrNoEnvelope says that something is no notification of SNS at all. It quotes nothing of it.
var ErrNoEnvelope = errors.New("it is no envelope of SNS: is raw message delivery on?")

// verifier opens envelopes. Whoever may write to the queue may write anything, so only the signature says that SNS has sent a
// notification, and only the topic that it is from us: everybody can have a topic of their own.
type verifier struct {
	topic        string
	certificates *certificates
	now          func() time.Time
}

// open returns the message in an envelope, and when it was sent, if SNS has signed it. No error quotes anything of it.
func (v verifier) open(ctx context.Context, body string) (message string, at time.Time, err error) {
	var e envelope
	switch err := json.Unmarshal([]byte(body), &e); {
	case err != nil, e.Type == "":
		return "", at, ErrNoEnvelope
	case e.Type == "SubscriptionConfirmation":
		// Its link is for people: a program that opens what it is sent can be sent anywhere.
		return "", at, errors.New("a subscription waits to be confirmed: subscribe as the queue's own account, which needs no confirmation")
	case e.Type != "Notification" || e.TopicArn != v.topic:
		return "", at, errors.New("it is no notification of the topic")
	}
	at, err = time.Parse(time.RFC3339, e.Timestamp)
	if age := v.now().Sub(at); err != nil || age > maxAge || age < -maxAhead {
		return "", at, errors.New("it is not from these days")
	}
	var algorithm x509.SignatureAlgorithm
	switch e.SignatureVersion {
	case "1":
		algorithm = x509.SHA1WithRSA
	case "2":
		algorithm = x509.SHA256WithRSA
	default:
		return "", at, errors.New("its signature is of an unknown version")
	}
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		return "", at, errors.New("its signature cannot be read")
	}
	host, err := v.host(e.SigningCertURL)
	if err != nil {
		return "", at, err
	}
	c, err := v.certificates.get(ctx, e.SigningCertURL)
	if err != nil {
		return "", at, err
	}
	// The certificates of all regions bear one name; a region's own would do as well.
	_, common, _ := strings.Cut(strings.TrimPrefix(host, "sns."), ".")
	if c.VerifyHostname("sns."+common) != nil && c.VerifyHostname(host) != nil || at.Before(c.NotBefore) || at.After(c.NotAfter) {
		return "", at, errors.New("its certificate is not SNS's, or not of that time")
	}
	if c.CheckSignature(algorithm, e.signed(), signature) != nil {
		return "", at, errors.New("its signature is not right")
	}
	return e.Message, at, nil
}

var pathOfCertificate = regexp.MustCompile(`^/SimpleNotificationService-[A-Za-z0-9]+\.pem$`)

// host returns the host of a certificate's address, which must be SNS itself in the topic's region. On other hosts of AWS
// everybody can put a file.
func (v verifier) host(address string) (string, error) {
	want := "sns.none.invalid"
	if arn := strings.Split(v.topic, ":"); len(arn) > 3 {
		want = "sns." + arn[3] + ".amazonaws.com"
		if arn[1] == "aws-cn" {
			want += ".cn"
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host != want || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !pathOfCertificate.MatchString(u.Path) {
		return "", errors.New("its certificate does not lie at SNS")
	}
	return want, nil
}

// getter is what of an HTTP client is needed here.
type getter interface {
	Do(*http.Request) (*http.Response, error)
}

// certificates are those that lie at SNS. It is TLS that says that they are SNS's: nobody else answers at its host.
type certificates struct {
	client getter
	mu     sync.Mutex
	known  map[string]*x509.Certificate // what lies at an address never changes
}

// get fetches a certificate, once.
func (s *certificates) get(ctx context.Context, address string) (*x509.Certificate, error) {
	s.mu.Lock()
	c := s.known[address]
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	content, err := s.fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("its certificate: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("its certificate cannot be read")
	}
	if c, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= 100 { // there are two or three; whoever makes up addresses fills no memory
		clear(s.known)
	}
	s.known[address] = c
	return c, nil
}

func (s *certificates) fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Request == nil || answer.Request.URL.String() != address {
		return nil, fmt.Errorf("status %d, or it lies elsewhere", answer.StatusCode)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 64<<10))
}
