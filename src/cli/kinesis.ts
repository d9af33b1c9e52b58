import { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { labAccountId, loadConfig } from '../config.ts'
import { createLogger } from '../telemetry.ts'
import type { Host } from './host.ts'

export function kinesisCommand(host: Host): Command {
  return new Command('kinesis')
    .description('run the local Kinesis and STS alone')
    .addHelpText(
      'after',
      `
Clients of any language reach it with an endpoint URL and any credentials.

Example:
  sluice kinesis &
  aws --endpoint-url http://127.0.0.1:4567 kinesis list-streams

Variables: SLUICE_LAB_HOST, SLUICE_LAB_PORT, AWS_REGION, SLUICE_ACCOUNT_ID, SLUICE_LOG_LEVEL.
`,
    )
    .action(() => runKinesis(host))
}

async function runKinesis(host: Host): Promise<void> {
  host.leaveAws()
  const config = loadConfig(host.environment, 'lab')
  const logger = await createLogger(config.logLevel, { pretty: host.stdout.isTTY === true })
  const stopRequested = host.stopRequested()
  const { createLabServer } = await import('../lab/lab-server.ts')
  const lab = await createLabServer({
    ...config.lab,
    region: config.region,
    accountId: config.accountId ?? labAccountId,
    clock: systemClock,
    logger,
    createsMissingStreams: true,
  })
  logger.info({ kinesis: lab.port, sts: lab.port }, 'ready')
  logger.info({ signal: await stopRequested }, 'stopping')
  await lab.close()
}
