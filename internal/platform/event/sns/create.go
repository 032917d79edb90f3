package snsevent

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// Create makes a topic, as production has it made by whoever looks after its account, and returns its ARN: for development and tests. A
// name that ends in .fifo is that of a FIFO topic. It may be called again for the same name.
func Create(ctx context.Context, cfg aws.Config, name string) (arn string, err error) {
	in := &sns.CreateTopicInput{Name: &name}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoTopic": "true"}
	}
	out, err := sns.NewFromConfig(cfg).CreateTopic(ctx, in)
	if err != nil {
		return "", wrap(err)
	}
	return aws.ToString(out.TopicArn), nil
}
