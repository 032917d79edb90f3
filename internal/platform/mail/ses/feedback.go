package sesmail

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	stdmail "net/mail"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
)

// Feedback understands what SES tells of mails: SES tells a topic of SNS, which puts it into a queue.
type Feedback struct {
	sender   *Sender
	verifier verifier
}

// NewFeedback returns what understands news of the sender's mails that come from a topic. SNS's certificates are fetched as AWS is reached.
func NewFeedback(cfg aws.Config, s *Sender, topicARN string) *Feedback {
	var client getter = cfg.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	return &Feedback{s, verifier{topic: topicARN, certificates: &certificates{client: client, known: map[string]*x509.Certificate{}}, now: time.Now}}
}

// Read returns what a message says of a mail; nil if nothing follows from it, as that the mail has arrived, or that another program's
// has not. It returns an error for what SNS has not signed.
func (f *Feedback) Read(ctx context.Context, body string) (*mail.Outcome, error) {
	message, at, err := f.verifier.open(ctx, body)
	if err != nil {
		return nil, err
	}
	var e event
	if json.Unmarshal([]byte(message), &e) != nil {
		return nil, nil // SES greets a new destination in plain words
	}
	o := mail.Outcome{What: e.outcome(), At: at}
	if o.What == "" || len(e.Mail.Destination) == 0 {
		return nil, nil
	}
	// A mail of ours goes to one address. What bounces may be another, to which that one forwards, and it is not the one to spare.
	to, err := stdmail.ParseAddress(e.Mail.Destination[0])
	if err != nil {
		return nil, nil
	}
	o.Address = to.Address
	if o.Org, o.Message, err = e.tags(); err == nil {
		return &o, nil
	}
	err = f.sender.db.QueryRow(ctx, `SELECT org_id, id FROM ses_messages WHERE ses_id = $1`, e.Mail.MessageID).Scan(&o.Org, &o.Message)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil // another program's mail
	}
	if err != nil {
		return nil, fmt.Errorf("ses: whose mail it was: %w", err)
	}
	return &o, nil
}

// event is what SES says of a mail, as an event of a configuration set or as a notification of an identity: they differ in the name
// of the type, and our tags are in the first alone.
type event struct {
	EventType        string
	NotificationType string
	Mail             struct {
		MessageID   string `json:"messageId"`
		Destination []string
		Tags        map[string][]string
	}
	Bounce    struct{ BounceType string }
	Complaint struct{ ComplaintFeedbackType string }
}

// outcome says what has become of the mail; "" if nothing follows: it has arrived, is still on its way, or somebody reads it.
func (e event) outcome() mail.What {
	switch kind := cmp.Or(e.EventType, e.NotificationType); {
	case kind == "Bounce" && e.Bounce.BounceType == "Permanent":
		return mail.Bounced
	case kind == "Bounce":
		return mail.BouncedOnce
	case kind == "Complaint" && e.Complaint.ComplaintFeedbackType != "not-spam": // that one takes a complaint back
		return mail.Complained
	case kind == "Reject":
		return mail.Refused
	}
	return ""
}

// tags are those that Send has put on the mail.
func (e event) tags() (org id.UUID, message string, err error) {
	of, named := e.Mail.Tags[tagOrganization], e.Mail.Tags[tagMessage]
	if len(of) != 1 || len(named) != 1 {
		return org, "", errors.New("no mail is named")
	}
	err = org.UnmarshalText([]byte(of[0]))
	return org, named[0], err
}
