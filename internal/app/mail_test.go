package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/aws/awstest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

// mailAccount is an account at SES.
type mailAccount struct {
	aws.Config
	number string
}

// inSES sends mails through SES, from an account of the test's own.
func inSES(t *testing.T) (mailAccount, []apptest.Option) {
	t.Helper()
	a := mailAccount{number: fmt.Sprintf("%012d", rand.N(int64(1e12)))}
	a.Config = aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: credentials.NewStaticCredentialsProvider(a.number, "test", ""),
	}
	client := sesv2.NewFromConfig(a.Config)
	_, err := client.CreateConfigurationSet(t.Context(), &sesv2.CreateConfigurationSetInput{ConfigurationSetName: aws.String("rapport")})
	awstest.Made(t, err)
	_, err = client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("harbor.example")})
	awstest.Made(t, err)
	return a, []apptest.Option{apptest.AppOptions(app.WithAWS(a.Config)), apptest.Config(func(c *config.Config) {
		c.Mail.From, c.Mail.SESConfigurationSet = "Harbor <coaching@harbor.example>", "rapport"
	})}
}

// sent says of each mail of the account to whom it went and what its subject is.
func (a mailAccount) sent(t *testing.T) (all []string) {
	t.Helper()
	r, err := http.Get(*a.BaseEndpoint + "/_ministack/ses/messages?account=" + a.number)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var said struct {
		Messages map[string][]struct {
			Subject string
			To      []string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	for _, m := range said.Messages[a.number] {
		all = append(all, strings.Join(m.To, ", ")+": "+m.Subject)
	}
	return all
}

// A mail leaves through SES, once, and the server says that this is how mails leave.
func TestMailsThroughSES(t *testing.T) {
	t.Parallel()
	account, opts := inSES(t)
	o := newOffice(t, opts...)
	o.notify(t, notice.SessionCancelled, "one")
	o.work(t)
	sql(t, o.Env, `UPDATE email_deliveries SET state = 'QUEUED'`) // as if the process had died before it noted that
	sql(t, o.Env, `UPDATE jobs SET state = 'PENDING', finished_at = NULL WHERE kind = 'notice.deliver'`)
	o.work(t)
	if got := account.sent(t); len(got) != 1 || !strings.HasPrefix(got[0], apptest.ClientUser+": ") {
		t.Errorf("sent: %v", got)
	}
	if got := o.deliveries(t); got != "SESSION_CANCELLED SENT" {
		t.Errorf("noted: %s", got)
	}
	if got := o.mails(t, apptest.ClientUser); len(got) != 0 {
		t.Errorf("%d mails are in the box, too", len(got))
	}
	status, body := o.Send(t, http.MethodGet, "/readyz", nil, "")
	if status != http.StatusOK || !strings.Contains(string(body), `{"name":"mail","adapter":"ses","ok":true`) {
		t.Errorf("%d %s", status, body)
	}
}
