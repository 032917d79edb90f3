package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/aws/awstest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
	"github.com/rapporthq/rapport/internal/testkit"
)

// feedback is the way by which SES tells of mails: a topic of SNS, whose certificate lies where SNS has them, and a queue.
type feedback struct {
	mailAccount
	*awstest.Topic
	*office
	queue string
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func newFeedback(t *testing.T) *feedback {
	t.Helper()
	f := &feedback{}
	var opts []apptest.Option
	f.mailAccount, opts = inSES(t)
	queues, err := sqsqueue.Create(t.Context(), f.mailAccount.Config, "mail-"+id.New().String())
	if err != nil {
		t.Fatal(err)
	}
	f.queue = queues.URL
	f.Topic = awstest.NewTopic(t, "arn:aws:sns:us-east-1:"+f.number+":mail", "sns.amazonaws.com", nil)
	reached := f.mailAccount.Config
	reached.HTTPClient = transportFunc(func(r *http.Request) (*http.Response, error) {
		if r.URL.String() == f.Certificate {
			answer := f.Answer()
			answer.Request = r
			return answer, nil
		}
		return http.DefaultClient.Do(r)
	})
	f.office = newOffice(t, append(opts, apptest.Running(), apptest.AppOptions(app.WithAWS(reached)), apptest.Config(func(c *config.Config) {
		c.Mail.SESFeedbackQueueURL, c.Mail.SESFeedbackTopicARN = queues.URL, f.ARN
	}))...)
	return f
}

// said is an event that SES tells of a mail. With it come the address and the subject, as they do from SES.
func (f *feedback) said(mail, to, what string) string {
	return fmt.Sprintf(`{"eventType":%s,"mail":{"messageId":"unknown","destination":[%q],"commonHeaders":{"subject":"Session with Ruth"},
		"tags":{"organization":[%q],"message":[%q]}}}`, what, to, f.org, mail)
}

const (
	hardBounce = `"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail"}`
	fullBox    = `"Bounce","bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull"}`
	complaint  = `"Complaint","complaint":{"complaintFeedbackType":"abuse"}`
)

func (f *feedback) put(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if _, err := sqs.NewFromConfig(f.mailAccount.Config).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &f.queue, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
}

// waits until the queue holds so many messages, held or not.
func (f *feedback) waits(t *testing.T, want int) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		out, err := sqs.NewFromConfig(f.mailAccount.Config).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: &f.queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			return err
		}
		if got := out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]; got != fmt.Sprintf("0+%d", want) {
			return errors.New("in the queue: " + got)
		}
		return nil
	})
}

// becomes waits until a mail's state and reason are as wanted.
func (f *feedback) becomes(t *testing.T, mail id.UUID, want string) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if got := value[string](t, f.Env, `SELECT state || coalesce(' ' || reason, '') FROM email_deliveries WHERE id = $1`, mail); got != want {
			return fmt.Errorf("the mail is %s, not yet %s", got, want)
		}
		return nil
	})
}

// tells the client of a cancelled session, and returns the mail once it is as wanted.
func (f *feedback) tells(t *testing.T, key, want string) id.UUID {
	t.Helper()
	f.notify(t, notice.SessionCancelled, key)
	mail := value[id.UUID](t, f.Env, `SELECT delivery_id FROM notifications WHERE dedup_key = $1 AND user_id = $2`, key, f.office.client)
	f.becomes(t, mail, want)
	return mail
}

func (f *feedback) suppressed(t *testing.T) string {
	t.Helper()
	return value[string](t, f.Env, `SELECT coalesce(string_agg(o.slug || ' ' || s.reason, ', ' ORDER BY o.slug), '') FROM mail_suppressions s JOIN organizations o ON o.id = s.org_id WHERE s.lifted_at IS NULL`)
}

// What SES tells of a mail comes back: an address at which nothing arrives gets no more mails, of any organization, and the log says
// why; what nobody has signed changes nothing; an operator lets mails go there again.
func TestBouncesAndComplaints(t *testing.T) {
	t.Parallel()
	f := newFeedback(t)
	sql(t, f.Env, `INSERT INTO memberships (id, org_id, user_id, roles) SELECT gen_random_uuid(), id, $1, '{COACH}' FROM organizations WHERE id <> $2`, f.office.client, f.org)
	clients := f.Login(t, apptest.ClientUser)
	first := f.tells(t, "first", "SENT")

	// Not signed by the topic, or not for it: left in the queue, without effect.
	said := f.said(first.String(), apptest.ClientUser, hardBounce)
	f.put(t,
		f.Forged(t, "{}", func(p map[string]string) { p["Message"] = said }),
		awstest.NewTopic(t, f.ARN, "sns.amazonaws.com", nil).Envelope(t, "2", said, nil),
		f.Envelope(t, "2", said, func(p map[string]string) { p["TopicArn"] += "2" }),
		said, // raw
	)
	f.waits(t, 4)
	testkit.Eventually(t, 30*time.Second, func() error {
		if log := f.Log.String(); strings.Count(log, "is left in the queue") != 4 || !strings.Contains(log, "refused=4") {
			return errors.New("not all were refused")
		}
		return nil
	})
	f.becomes(t, first, "SENT")
	if got := f.suppressed(t); got != "" {
		t.Errorf("suppressed by what is forged: %s", got)
	}

	// Signed, twice, in both versions.
	bounce := f.Envelope(t, "1", said, nil)
	f.put(t, bounce, f.Envelope(t, "2", said, nil))
	f.becomes(t, first, "BOUNCED BOUNCED")
	f.waits(t, 4)
	if got := f.suppressed(t); got != "harbor BOUNCED, lumen BOUNCED" {
		t.Errorf("suppressed: %s", got)
	}
	if got := value[string](t, f.Env, `SELECT string_agg(o.slug || ' ' || a.action || ' ' || a.kind || ' ' || (a.entity_id = $1) || ' ' || coalesce(a.actor_id::text, 'nobody'), ', ' ORDER BY o.slug)
		FROM audit_events a JOIN organizations o ON o.id = a.org_id WHERE a.action = 'notification.suppress'`, f.office.client); got != "harbor notification.suppress user true nobody, lumen notification.suppress user true nobody" {
		t.Errorf("audited: %s", got)
	}
	sql(t, f.Env, `DELETE FROM memberships WHERE user_id = $1 AND org_id <> $2`, f.office.client, f.org)
	f.tells(t, "second", "SUPPRESSED BOUNCED")
	var log struct {
		Viewer struct {
			EmailDeliveries struct {
				Nodes []struct{ State, Reason, Suppression string }
			}
			NotificationPreferences struct{ EmailSuppression string }
			Notifications           struct{ Nodes []struct{ EmailState string } }
		}
	}
	clients.Must(t, `{viewer {emailDeliveries {nodes {state reason suppression}} notificationPreferences {emailSuppression}
		notifications(filter: {types: [SESSION_CANCELLED]}) {nodes {emailState}}}}`, nil, &log)
	if got := fmt.Sprint(log.Viewer); got != "{{[{SUPPRESSED BOUNCED BOUNCED} {BOUNCED BOUNCED BOUNCED}]} {BOUNCED} {[{SUPPRESSED} {BOUNCED}]}}" {
		t.Errorf("the person is shown %s", got)
	}
	if got := f.sent(t); len(got) != 1 {
		t.Errorf("sent: %v", got)
	}

	// An operator lifts it. What was known before does not come back by being told again.
	unsuppress := func(want string) {
		t.Helper()
		settings := map[string]string{"RAPPORT_HOME": t.TempDir(), "DATABASE_URL": f.DatabaseURL}
		var out, errs bytes.Buffer
		if err := app.Operate(t.Context(), func(name string) (string, bool) { v, ok := settings[name]; return v, ok },
			[]string{"unsuppress", strings.ToUpper(apptest.ClientUser)}, &out, &errs); err != nil || out.String() != want+"\n" {
			t.Errorf("%v: %q, %q", err, &out, &errs)
		}
	}
	unsuppress("2 organizations mail the address again")
	unsuppress("0 organizations mail the address again")
	if n := value[int](t, f.Env, `SELECT count(*) FROM audit_events WHERE action = 'notification.unsuppress' AND actor_id IS NULL`); n != 2 {
		t.Errorf("%d entries in the audit trails", n)
	}
	third := f.tells(t, "third", "SENT")
	f.put(t, bounce)
	f.waits(t, 4)
	if got := f.suppressed(t); got != "" {
		t.Errorf("suppressed again by what was heard before: %s", got)
	}

	// A full box is noted and no more. It may be told after what is worse, which stays.
	full := f.Envelope(t, "2", f.said(third.String(), apptest.ClientUser, fullBox), nil)
	f.put(t, full)
	f.becomes(t, third, "BOUNCED BOUNCED_ONCE")
	fourth := f.tells(t, "fourth", "SENT")
	f.put(t, f.Envelope(t, "2", f.said(fourth.String(), apptest.ClientUser, complaint), nil))
	f.becomes(t, fourth, "COMPLAINED COMPLAINED")
	f.put(t, f.Envelope(t, "2", f.said(fourth.String(), apptest.ClientUser, fullBox), nil), f.Envelope(t, "2", f.said(third.String(), apptest.ClientUser, hardBounce), nil))
	f.becomes(t, third, "BOUNCED BOUNCED")
	f.waits(t, 4)
	f.becomes(t, fourth, "COMPLAINED COMPLAINED")
	if got := f.suppressed(t); got != "harbor COMPLAINED" {
		t.Errorf("suppressed: %s", got)
	}
	f.tells(t, "fifth", "SUPPRESSED COMPLAINED")

	// A mail that invites somebody who is nobody here. Nobody else has them.
	owner := f.Login(t, apptest.Owner)
	invite := func() (state string) {
		t.Helper()
		var out struct {
			Invitations struct {
				Nodes []struct {
					EmailDelivery *struct{ State, Reason, Suppression string }
				}
			}
		}
		owner.Must(t, `{invitations {nodes {emailDelivery {state reason suppression}}}}`, nil, &out)
		return fmt.Sprint(*out.Invitations.Nodes[0].EmailDelivery)
	}
	owner.Must(t, `mutation {inviteMember(input: {email: "nobody@nowhere.example", roles: [COACH]}) {userErrors {code}}}`, nil, nil)
	invitation := value[id.UUID](t, f.Env, `SELECT id FROM email_deliveries WHERE invitation_id IS NOT NULL`)
	f.becomes(t, invitation, "SENT")
	f.put(t, f.Envelope(t, "1", f.said(invitation.String(), "nobody@nowhere.example", hardBounce), nil))
	f.becomes(t, invitation, "BOUNCED BOUNCED")
	if got := invite(); got != "{BOUNCED BOUNCED BOUNCED}" {
		t.Errorf("the owner is shown %s", got)
	}
	if got := f.suppressed(t); got != "harbor BOUNCED, harbor COMPLAINED" {
		t.Errorf("suppressed: %s", got)
	}

	status, body := f.Send(t, http.MethodGet, "/readyz", nil, "")
	if status != http.StatusOK || !strings.Contains(string(body), `{"name":"mail-feedback","adapter":"sqs","ok":true`) {
		t.Errorf("%d %s", status, body)
	}
	for _, private := range []string{apptest.ClientUser, "nobody@nowhere.example", "Session with Ruth"} {
		if strings.Contains(f.Log.String(), private) {
			t.Errorf("the log holds %s", private)
		}
	}
}
