package s3blob

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Announce has the bucket tell a queue, by its ARN, of each file that is stored in it. The queue must let it.
func Announce(ctx context.Context, cfg aws.Config, bucket, queueARN string) error {
	_, err := New(cfg, Options{Bucket: bucket}).client.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket, NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{
			{QueueArn: &queueARN, Events: []types.Event{"s3:ObjectCreated:*"}},
		}},
	})
	return wrap(err)
}

// Create makes a bucket that keeps versions and may be written to by links from any page, for development: production has its
// bucket made by whoever looks after its account. It may be called again for the same name.
func Create(ctx context.Context, cfg aws.Config, bucket string) error {
	client := New(cfg, Options{Bucket: bucket}).client
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil && code(err) != "BucketAlreadyOwnedByYou" {
		return wrap(err)
	}
	if _, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		return wrap(err)
	}
	_, err := client.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: &bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{
		{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET", "PUT"}, AllowedHeaders: []string{"*"}, MaxAgeSeconds: aws.Int32(600)},
	}}})
	return wrap(err)
}
