package app

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
	sesmail "github.com/rapporthq/rapport/internal/platform/mail/ses"
)

// mails is what mails leave through: SES, or in development a folder and a page of this machine. In production without SES
// nothing does.
type mails struct {
	sender mail.Sender // nil where nothing sends
	box    *devbox.Box
	ses    *sesmail.Sender
	where  string        // for people
	checks []httpx.Check // none where nothing can fail
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

// mailbox is what keeps mails that were sent, nil where nothing does.
func (m mails) mailbox() privacy.Mails {
	if m.box == nil {
		return nil
	}
	return m.box
}
