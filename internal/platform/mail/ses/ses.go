// Package sesmail sends mails through Amazon SES, and hears from it which did not arrive.
package sesmail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/mail"
)

const (
	sendTimeout = 30 * time.Second
	// claimFor is how long a mail is the business of the process that has begun to send it. Longer than sending may take.
	claimFor = time.Minute
)

// Options say as whom mails are sent. From, ConfigurationSet and Log must be set.
type Options struct {
	From    mail.Address
	ReplyTo string // where answers go, as a header has it; "" is to the sender
	// ConfigurationSet is SES's collection of rules for mails of ours: where it tells of bounces, above all.
	ConfigurationSet string
	Log              *slog.Logger
}

// Sender is a mail.Sender.
//
// SES does not know whether it was given a message before, so the database remembers what was sent. A process that dies between
// SES's answer and the note of it leaves a claim; a minute later the message is sent by whoever repeats it. So a person may get a mail
// twice after a crash, but none is lost.
type Sender struct {
	client  *sesv2.Client
	db      *pgxpool.Pool
	options Options
	now     func() time.Time
}

var _ mail.Sender = (*Sender)(nil)

// New returns a sender. cfg says how AWS is reached and as whom.
func New(cfg aws.Config, db *pgxpool.Pool, o Options) *Sender {
	return &Sender{client: sesv2.NewFromConfig(cfg), db: db, options: o, now: time.Now}
}

// Reach says whether SES can be asked to send, and would.
func (s *Sender) Reach(ctx context.Context) error {
	account, err := s.client.GetAccount(ctx, &sesv2.GetAccountInput{})
	if err != nil {
		return classify(err)
	}
	set, err := s.client.GetConfigurationSet(ctx, &sesv2.GetConfigurationSetInput{ConfigurationSetName: &s.options.ConfigurationSet})
	if err != nil {
		return classify(err)
	}
	if !account.SendingEnabled || set.SendingOptions != nil && !set.SendingOptions.SendingEnabled {
		return errPaused
	}
	return nil
}

// Send implements mail.Sender.
func (s *Sender) Send(ctx context.Context, m mail.Message) error {
	if s.options.ReplyTo != "" {
		m.Headers = maps.Clone(m.Headers)
		if m.Headers == nil {
			m.Headers = map[string]string{}
		}
		m.Headers["Reply-To"] = s.options.ReplyTo
	}
	raw, err := m.MIME(s.options.From, s.now())
	if err != nil {
		return err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		claimed, sent, err := s.claim(ctx, m)
		if err != nil || sent {
			return err
		}
		if claimed != nil {
			return s.send(ctx, m, raw, *claimed)
		}
		select { // somebody else is sending it
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// claim makes the sending of a message the caller's business, unless it is somebody else's now, or was sent.
func (s *Sender) claim(ctx context.Context, m mail.Message) (claimed *time.Time, sent bool, err error) {
	err = s.db.QueryRow(ctx, `
		WITH mine AS (
			INSERT INTO ses_messages AS s (org_id, id, claimed_at) VALUES ($1, $2, now())
			ON CONFLICT (org_id, id) DO UPDATE SET claimed_at = now() WHERE s.ses_id IS NULL AND s.claimed_at < now() - $3::interval
			RETURNING claimed_at
		)
		SELECT claimed_at, false FROM mine
		UNION ALL
		SELECT NULL, ses_id IS NOT NULL FROM ses_messages WHERE org_id = $1 AND id = $2 AND NOT EXISTS (SELECT FROM mine)`,
		m.Org, m.ID, claimFor).Scan(&claimed, &sent)
	if errors.Is(err, pgx.ErrNoRows) { // claimed by somebody after this statement had begun
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("ses: claim: %w", err)
	}
	return claimed, sent, err
}

func (s *Sender) send(ctx context.Context, m mail.Message, raw []byte, claimed time.Time) error {
	call, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	tags := []types.MessageTag{{Name: aws.String(tagOrganization), Value: aws.String(m.Org.String())}, {Name: aws.String(tagMessage), Value: &m.ID}}
	if m.Type != "" {
		tags = append(tags, types.MessageTag{Name: aws.String("type"), Value: &m.Type})
	}
	out, err := s.client.SendEmail(call, &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(s.options.From.String()), Destination: &types.Destination{ToAddresses: []string{m.To.Email}},
		Content: &types.EmailContent{Raw: &types.RawMessage{Data: raw}}, ConfigurationSetName: &s.options.ConfigurationSet, EmailTags: tags,
	})
	// What was decided must be noted also when the caller has gone meanwhile.
	note, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err != nil {
		if _, failed := s.db.Exec(note, `DELETE FROM ses_messages WHERE org_id = $1 AND id = $2 AND ses_id IS NULL AND claimed_at = $3`, m.Org, m.ID, claimed); failed != nil {
			s.options.Log.WarnContext(ctx, "a mail that was not sent waits for its claim to end", "mail", m.ID, "err", failed)
		}
		return classify(err)
	}
	if _, err := s.db.Exec(note, `UPDATE ses_messages SET ses_id = $3 WHERE org_id = $1 AND id = $2`, m.Org, m.ID, out.MessageId); err != nil {
		// It has left, which is what the caller must know. A repetition would send it again.
		s.options.Log.WarnContext(ctx, "a mail was sent, and this could not be noted", "mail", m.ID, "err", err)
	}
	return nil
}

// The tags by which SES's events name a message: ids, and nothing that somebody has written.
const (
	tagOrganization = "organization"
	tagMessage      = "message"
)

// Forgive takes an address off SES's own list of those that it sends nothing to, where it puts one by itself after a bounce or a complaint. It
// is no error if the address is not there.
func (s *Sender) Forgive(ctx context.Context, address string) error {
	_, err := s.client.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{EmailAddress: &address})
	var none *types.NotFoundException
	if err == nil || errors.As(err, &none) {
		return nil
	}
	return classify(err)
}

// Prune forgets what was sent before.
func (s *Sender) Prune(ctx context.Context, before time.Time) error {
	_, err := s.db.Exec(ctx, `
		DELETE FROM ses_messages WHERE (org_id, id) IN (SELECT org_id, id FROM ses_messages WHERE claimed_at < $1 ORDER BY claimed_at LIMIT 5000)`, before)
	if err != nil {
		return fmt.Errorf("ses: prune: %w", err)
	}
	return nil
}

var (
	errPaused     = fault.Unavailable("sending is paused in this account or configuration set").WithCode("MAIL_PAUSED")
	errUnverified = fault.Unavailable("SES does not know the sender's address, or the account is still in the sandbox").WithCode("MAIL_UNVERIFIED")
)

// classify says in the port's words why SES does not send. Of what SES says it keeps the code alone: its sentences quote addresses.
// Only what is wrong with the message is for good; what is wrong with the account is mended by somebody, and the job tries again.
func classify(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("ses: %w", err)
	}
	why := fmt.Errorf("ses: %s", api.ErrorCode())
	switch api.ErrorCode() {
	case "MessageRejected":
		if strings.HasPrefix(api.ErrorMessage(), "Email address is not verified") {
			return errUnverified.Because(why)
		}
		return fmt.Errorf("%w: %w", why, mail.ErrRejected)
	case "BadRequestException":
		return fmt.Errorf("%w: %w", why, mail.ErrRejected)
	case "TooManyRequestsException", "LimitExceededException", "Throttling", "ThrottlingException":
		return fault.Limited("SES takes no more mails now").Because(why)
	case "AccountSuspendedException", "SendingPausedException":
		return errPaused.Because(why)
	case "MailFromDomainNotVerifiedException":
		return errUnverified.Because(why)
	case "NotFoundException":
		return fault.Unavailable("there is no such configuration set").Because(why)
	}
	return why
}
