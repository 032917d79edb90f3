package sesmail

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/aws/awstest"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/testkit"
)

const topic = "arn:aws:sns:eu-west-1:123456789012:mail"

type getterFunc func(*http.Request) (*http.Response, error)

func (f getterFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// believing is a verifier that finds the certificate wherever it looks: whoever forges has put one there.
func believing(sns *awstest.Topic) verifier {
	return verifier{topic: topic, now: time.Now, certificates: &certificates{known: map[string]*x509.Certificate{}, client: getterFunc(func(r *http.Request) (*http.Response, error) {
		answer := sns.Answer()
		answer.Request = r
		return answer, nil
	})}}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	sns := awstest.NewTopic(t, topic, "sns.amazonaws.com", nil)
	v := believing(sns)
	with := func(name, value string) string {
		return sns.Envelope(t, "2", "{}", func(p map[string]string) { p[name] = value })
	}
	after := func(name, value string) string {
		return sns.Forged(t, "{}", func(p map[string]string) { p[name] = value })
	}
	ago := func(d time.Duration) string { return with("Timestamp", time.Now().Add(-d).UTC().Format(time.RFC3339)) }
	for name, body := range map[string]string{
		"version 1":           sns.Envelope(t, "1", "{}", nil),
		"version 2":           sns.Envelope(t, "2", "{}", nil),
		"no subject":          sns.Envelope(t, "2", "{}", func(p map[string]string) { delete(p, "Subject") }),
		"a clock that is off": ago(-14 * time.Minute),
	} {
		if got, at, err := v.open(t.Context(), body); got != "{}" || at.IsZero() || err != nil {
			t.Errorf("%s: %q, %v, %v", name, got, at, err)
		}
	}
	for name, body := range map[string]string{
		"raw delivery":          `{"eventType":"Bounce"}`,
		"no JSON":               "hello",
		"the emulator's":        after("Signature", "FAKE"),
		"no signature":          after("Signature", ""),
		"another message":       after("Message", `{"a":1}`),
		"another id":            after("MessageId", "x"),
		"another subject":       after("Subject", "x"),
		"subject taken away":    sns.Forged(t, "{}", func(p map[string]string) { delete(p, "Subject") }),
		"another time":          after("Timestamp", time.Now().Add(time.Minute).UTC().Format(time.RFC3339)),
		"another version":       after("SignatureVersion", "1"),
		"unknown version":       after("SignatureVersion", "3"),
		"another topic":         with("TopicArn", topic+"2"),
		"a subscription":        with("Type", "SubscriptionConfirmation"),
		"an end of one":         with("Type", "UnsubscribeConfirmation"),
		"http":                  with("SigningCertURL", strings.Replace(sns.Certificate, "https", "http", 1)),
		"another region":        with("SigningCertURL", strings.Replace(sns.Certificate, "eu-west-1", "us-east-1", 1)),
		"a bucket":              with("SigningCertURL", "https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem"),
		"a host that begins so": with("SigningCertURL", "https://sns.eu-west-1.amazonaws.com.example.com/SimpleNotificationService-0123.pem"),
		"a host that ends so":   with("SigningCertURL", "https://xsns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem"),
		"a user":                with("SigningCertURL", "https://sns.eu-west-1.amazonaws.com@example.com/SimpleNotificationService-0123.pem"),
		"a port":                with("SigningCertURL", "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123.pem"),
		"a query":               with("SigningCertURL", sns.Certificate+"?x=y"),
		"another folder":        with("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/topic/SimpleNotificationService-0123.pem"),
		"no address":            with("SigningCertURL", ""),
		"a year ago":            ago(15 * 24 * time.Hour),
		"tomorrow":              ago(-time.Hour),
		"no time":               with("Timestamp", "now"),
	} {
		if _, _, err := v.open(t.Context(), body); err == nil || strings.Contains(err.Error(), "Amazon SES Email") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, sns := range map[string]*awstest.Topic{
		"another's name": awstest.NewTopic(t, topic, "example.com", nil),
		"another's own":  awstest.NewTopic(t, topic, "sqs.eu-west-1.amazonaws.com", nil),
		"expired": awstest.NewTopic(t, topic, "sns.amazonaws.com", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
	} {
		if _, _, err := believing(sns).open(t.Context(), sns.Envelope(t, "2", "{}", nil)); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
	if _, _, err := v.open(t.Context(), awstest.NewTopic(t, topic, "sns.amazonaws.com", nil).Envelope(t, "2", "{}", nil)); err == nil {
		t.Error("another key: believed")
	}
	// A certificate that has expired since was good when it signed.
	earlier := awstest.NewTopic(t, topic, "sns.amazonaws.com", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	if _, _, err := believing(earlier).open(t.Context(), earlier.Envelope(t, "1", "{}", func(p map[string]string) {
		p["Timestamp"] = time.Now().Add(-30 * time.Hour).UTC().Format(time.RFC3339)
	})); err != nil {
		t.Errorf("of the day before yesterday: %v", err)
	}
}

// A certificate is fetched once, and only from where it is said to lie.
func TestCertificatesAreFetched(t *testing.T) {
	t.Parallel()
	sns := awstest.NewTopic(t, topic, "sns.amazonaws.com", nil)
	v := believing(sns)
	there := v.certificates.client
	asked := 0
	v.certificates.client = getterFunc(func(r *http.Request) (*http.Response, error) { asked++; return there.Do(r) })
	for range 3 {
		if _, _, err := v.open(t.Context(), sns.Envelope(t, "1", "{}", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	elsewhere, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*http.Response){
		"moved":   func(a *http.Response) { a.Request = elsewhere },
		"refused": func(a *http.Response) { a.StatusCode = http.StatusForbidden },
		"no PEM":  func(a *http.Response) { a.Body = io.NopCloser(strings.NewReader("<html>")) },
		"no certificate": func(a *http.Response) {
			a.Body = io.NopCloser(strings.NewReader("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		},
	} {
		w := believing(sns)
		w.certificates.client = getterFunc(func(r *http.Request) (*http.Response, error) {
			answer := sns.Answer()
			answer.Request = r
			change(answer)
			return answer, nil
		})
		if _, _, err := w.open(t.Context(), sns.Envelope(t, "2", "{}", nil)); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
}

// What SES says comes as an event of a configuration set or as a notification of an identity, and means what it means to us.
func TestWhatIsHeard(t *testing.T) {
	t.Parallel()
	s, a, org := setup(t, testkit.DB(t))
	sns := awstest.NewTopic(t, topic, "sns.amazonaws.com", nil)
	f := NewFeedback(a.config(), s, topic)
	f.verifier = believing(sns)
	m := message(org)
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var sesID string
	if err := s.db.QueryRow(t.Context(), `SELECT ses_id FROM ses_messages`).Scan(&sesID); err != nil {
		t.Fatal(err)
	}
	const details = `"bouncedRecipients":[{"emailAddress":"elsewhere@example.org"}]`
	about := fmt.Sprintf(`"mail":{"messageId":%q,"destination":["amara@example.com"]}`, sesID)
	tagged := fmt.Sprintf(`"mail":{"messageId":"unknown","destination":["amara@example.com"],"tags":{"ses:configuration-set":["rapport"],"organization":[%q],"message":[%q]}}`, org, m.ID)
	for name, c := range map[string]struct {
		said string
		want mail.What
	}{
		"hard bounce, event":        {`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General",` + details + `},` + tagged + `}`, mail.Bounced},
		"hard bounce, notification": {`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail",` + details + `},` + about + `}`, mail.Bounced},
		"suppressed at SES":         {`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"OnAccountSuppressionList"},` + tagged + `}`, mail.Bounced},
		"full box":                  {`{"eventType":"Bounce","bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull"},` + tagged + `}`, mail.BouncedOnce},
		"undetermined":              {`{"notificationType":"Bounce","bounce":{"bounceType":"Undetermined"},` + about + `}`, mail.BouncedOnce},
		"complaint, notification":   {`{"notificationType":"Complaint","complaint":{"complaintFeedbackType":"abuse"},` + about + `}`, mail.Complained},
		"complaint, event":          {`{"eventType":"Complaint","complaint":{},` + tagged + `}`, mail.Complained},
		"complaint taken back":      {`{"eventType":"Complaint","complaint":{"complaintFeedbackType":"not-spam"},` + tagged + `}`, ""},
		"rejected":                  {`{"eventType":"Reject","reject":{"reason":"Bad content"},` + tagged + `}`, mail.Refused},
		"delivery":                  {`{"notificationType":"Delivery","delivery":{},` + about + `}`, ""},
		"open":                      {`{"eventType":"Open","open":{},` + tagged + `}`, ""},
		"delay":                     {`{"eventType":"DeliveryDelay","deliveryDelay":{},` + tagged + `}`, ""},
		"a new word":                {`{"eventType":"Teleported",` + tagged + `}`, ""},
		"greeting":                  {`Successfully validated SNS topic for Amazon SES event publishing.`, ""},
		"another program's mail":    {`{"eventType":"Bounce","bounce":{"bounceType":"Permanent"},"mail":{"messageId":"x","destination":["amara@example.com"],"tags":{"organization":["acme"],"message":["m"]}}}`, ""},
		"to nobody":                 {`{"eventType":"Bounce","bounce":{"bounceType":"Permanent"},"mail":{"messageId":"x"}}`, ""},
	} {
		got, err := f.Read(t.Context(), sns.Envelope(t, "2", c.said, nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got != nil && time.Since(got.At).Abs() > time.Minute {
			t.Errorf("%s: at %s", name, got.At)
		}
		switch {
		case (got == nil) != (c.want == ""):
			t.Errorf("%s: %v", name, got)
		case got != nil && (got.Org != org || got.Message != m.ID || got.Address != "amara@example.com" || got.What != c.want):
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got, err := f.Read(t.Context(), sns.Forged(t, "{}", func(p map[string]string) {
		p["Message"] = `{"eventType":"Bounce","bounce":{"bounceType":"Permanent"},` + tagged + `}`
	})); got != nil || err == nil {
		t.Errorf("forged: %v, %v", got, err)
	}
}

// The emulator has no list of suppressed addresses: what is asked of SES is recorded here.
func TestForgiving(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, testkit.DB(t))
	for name, c := range map[string]struct {
		status int
		code   string
		failed bool
	}{
		"on the list":     {200, "", false},
		"not on the list": {404, "NotFoundException", false},
		"too much":        {429, "TooManyRequestsException", true},
	} {
		var asked string
		a.refuse(func(r *http.Request) (*http.Response, error) {
			asked = r.Method + " " + r.URL.Path
			return &http.Response{
				StatusCode: c.status, Request: r, Header: http.Header{"X-Amzn-Errortype": {c.code}, "Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"message": "amara@example.com"}`)),
			}, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := s.Forgive(ctx, "amara@example.com")
		cancel()
		if (err != nil) != c.failed || err != nil && strings.Contains(err.Error(), "@") || asked != "DELETE /v2/email/suppression/addresses/amara@example.com" {
			t.Errorf("%s: %v, asked %s", name, err, asked)
		}
	}
}
