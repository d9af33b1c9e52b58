import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.coordinator.CoordinatorConfig.ClientVersionConfig;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * A worker of the Kinesis Client Library on the stream `s`: it prints `shardId text` for each record
 * and checkpoints each batch, until it is killed.
 *
 * Arguments: endpoint of Kinesis, endpoint of DynamoDB, application (the name of the lease table),
 * and `2` or `3`, the release whose way of sharing it follows.
 */
public class KclWorker {
    public static void main(String[] arguments) {
        String application = arguments[2];
        KinesisAsyncClient kinesis = at(KinesisAsyncClient.builder(), arguments[0]);
        DynamoDbAsyncClient dynamoDb = at(DynamoDbAsyncClient.builder(), arguments[1]);
        CloudWatchAsyncClient cloudWatch = at(CloudWatchAsyncClient.builder(), arguments[1]);
        var start = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder configs = new ConfigsBuilder(
                new SingleStreamTracker("s", start), application, kinesis, dynamoDb, cloudWatch,
                "kcl-" + UUID.randomUUID(), Printer::new);
        var leases = configs.leaseManagementConfig().failoverTimeMillis(2_000);
        leases.workerUtilizationAwareAssignmentConfig().disableWorkerMetrics(true);
        Scheduler scheduler = new Scheduler(
                configs.checkpointConfig(),
                configs.coordinatorConfig()
                        .parentShardPollIntervalMillis(500)
                        .shardConsumerDispatchPollIntervalMillis(200)
                        .skipShardSyncAtWorkerInitializationIfLeasesExist(true)
                        .clientVersionConfig(arguments[3].equals("2")
                                ? ClientVersionConfig.CLIENT_VERSION_CONFIG_COMPATIBLE_WITH_2X
                                : ClientVersionConfig.CLIENT_VERSION_CONFIG_3X),
                leases,
                configs.lifecycleConfig(),
                configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
                configs.processorConfig(),
                configs.retrievalConfig()
                        .retrievalSpecificConfig(new PollingConfig("s", kinesis).idleTimeBetweenReadsInMillis(300)));
        scheduler.run();
    }

    private static <B extends AwsClientBuilder<B, C>, C> C at(B builder, String endpoint) {
        return builder.endpointOverride(URI.create(endpoint))
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("lab", "lab")))
                .build();
    }

    private static class Printer implements ShardRecordProcessor {
        private String shardId;

        @Override
        public void initialize(InitializationInput input) {
            shardId = input.shardId();
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            for (KinesisClientRecord record : input.records()) {
                System.out.println(shardId + " " + StandardCharsets.UTF_8.decode(record.data()));
            }
            try {
                input.checkpointer().checkpoint();
            } catch (Exception thrown) {
                System.err.println(thrown);
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {}

        @Override
        public void shardEnded(ShardEndedInput input) {
            try {
                input.checkpointer().checkpoint();
            } catch (Exception thrown) {
                System.err.println(thrown);
            }
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            try {
                input.checkpointer().checkpoint();
            } catch (Exception thrown) {
                System.err.println(thrown);
            }
        }
    }
}
