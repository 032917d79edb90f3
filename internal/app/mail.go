package app

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
	sesmail "github.com/rapporthq/rapport/internal/platform/mail/ses"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// mails is what mails leave through: SES, or in development a folder and a page of this machine. In production without SES
// nothing does.
type mails struct {
	sender mail.Sender // nil where nothing sends
	box    *devbox.Box
	ses    *sesmail.Sender
	inbox  *sqsqueue.Inbox                                  // of what has become of mails; nil where nobody tells
	hear   func(ctx context.Context, envelope string) error // takes in what lies in it
	where  string                                           // for people
	checks []httpx.Check                                    // none where nothing can fail
}

func (a *App) openMails(ctx context.Context) (m mails, err error) {
	c := a.config.Mail
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return m, err
	}
	var replyTo string
	if c.SESReplyTo != "" {
		to, err := mail.ParseAddress(c.SESReplyTo)
		if err != nil {
			return m, err
		}
		replyTo = to.String()
	}
	switch {
	case c.SESConfigurationSet != "":
		cfg, err := a.reachAWS(ctx, "RAPPORT_SES_CONFIGURATION_SET")
		if err != nil {
			return m, err
		}
		m.ses = sesmail.New(cfg, a.db, sesmail.Options{From: from, ReplyTo: replyTo, ConfigurationSet: c.SESConfigurationSet, Log: a.log})
		m.sender, m.where = m.ses, "ses ("+c.SESConfigurationSet+")"
		m.checks = []httpx.Check{{Name: "mail", Adapter: "ses", Optional: true, Probe: func(ctx context.Context) error {
			err := m.ses.Reach(ctx)
			if err != nil && fault.KindOf(err) != fault.KindUnavailable {
				err = fault.Unavailable("cannot reach SES").Because(err)
			}
			return err
		}}}
		if c.SESFeedbackQueueURL != "" {
			a.openInbox(cfg, &m)
		}
	case a.config.Mode == config.Development:
		if m.box, err = devbox.Open(a.config.Home, from); err != nil {
			return m, err
		}
		m.sender, m.where = m.box, "devbox ("+a.config.Home+"/mail, "+devbox.Path+")"
	default:
		m.where = "none: mails are not sent"
	}
	return m, nil
}

// openInbox has what SES tells of mails heard.
func (a *App) openInbox(cfg aws.Config, m *mails) {
	feedback := sesmail.NewFeedback(cfg, m.ses, a.config.Mail.SESFeedbackTopicARN)
	m.hear = func(ctx context.Context, envelope string) error {
		o, err := feedback.Read(ctx, envelope)
		if o == nil || err != nil {
			return err
		}
		return a.services.Notices.Hear(ctx, *o)
	}
	m.inbox = sqsqueue.NewInbox(cfg, sqsqueue.InboxOptions{
		URL: a.config.Mail.SESFeedbackQueueURL, Name: "what SES tells of mails", Log: a.log, Handle: m.hear,
	})
	m.checks = append(m.checks, httpx.Check{Name: "mail-feedback", Adapter: "sqs", Optional: true, Probe: queueIsThere(m.inbox.Reach)})
}

// hearOfMails takes in what has become of mails until ctx ends.
func (a *App) hearOfMails(ctx context.Context) error {
	if a.mails.inbox == nil {
		return nil
	}
	return a.mails.inbox.Run(ctx)
}

// keepSent is how long it is known which mails SES was given: longer than it may take to tell of one.
const keepSent = 30 * 24 * time.Hour

// prune forgets mails that were sent long ago.
func (m mails) prune(ctx context.Context) error {
	if m.ses == nil {
		return nil
	}
	return m.ses.Prune(ctx, time.Now().Add(-keepSent))
}

// mailbox is what keeps mails that were sent, nil where nothing does.
func (m mails) mailbox() privacy.Mails {
	if m.box == nil {
		return nil
	}
	return m.box
}
