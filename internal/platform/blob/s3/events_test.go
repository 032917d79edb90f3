package s3blob

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// As S3 writes it (event message structure 2.1), with everything that is in it.
const recorded = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-03-02T09:12:41.107Z",
"eventName":"%s","userIdentity":{"principalId":"AWS:AROAEXAMPLE:rapport"},"requestParameters":{"sourceIPAddress":"192.0.2.7"},
"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"},
"s3":{"s3SchemaVersion":"1.0","configurationId":"rapport","bucket":{"name":"%s","ownerIdentity":{"principalId":"A3NL1KOZZKExample"},"arn":"arn:aws:s3:::rapport"},
"object":{"key":"%s","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko","sequencer":"0055AED6DCD90281E5"}}}]}`

func TestCreated(t *testing.T) {
	t.Parallel()
	s := New(aws.Config{Region: "eu-west-1"}, Options{Bucket: "rapport"})
	for message, want := range map[string][]string{
		fmt.Sprintf(recorded, "ObjectCreated:Put", "rapport", "a/transcripts/b/original"):                      {"a/transcripts/b/original"},
		fmt.Sprintf(recorded, "ObjectCreated:CompleteMultipartUpload", "rapport", "a/transcripts/b+%C3%A9%2B"): {"a/transcripts/b é+"},
		fmt.Sprintf(recorded, "s3:ObjectCreated:Copy", "rapport", "a"):                                         {"a"},
		fmt.Sprintf(recorded, "ObjectRemoved:Delete", "rapport", "a"):                                          nil,
		fmt.Sprintf(recorded, "ObjectCreated:Put", "another", "a"):                                             nil,
		fmt.Sprintf(recorded, "ObjectCreated:Put", "rapport", "%zz"):                                           nil,
		`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-03-02T09:12:41.107Z","Bucket":"rapport","RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE"}`: nil,
		`{"Records":[]}`: nil,
	} {
		if got, err := s.Created([]byte(message)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s\n%q, %v", message, got, err)
		}
	}
	for _, message := range []string{"", "x", "{}", "[]", `{"kind":"transcript.parse","id":"0"}`, `{"Records":[{"eventSource":"aws:sqs"}]}`, `{"Records":{}}`} {
		if got, err := s.Created([]byte(message)); err != ErrNoNotification || got != nil {
			t.Errorf("%s: %q, %v", message, got, err)
		}
	}
}
