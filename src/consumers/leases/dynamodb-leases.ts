import { defined } from '../../base/defined.ts'
import { invalidRequest } from '../../base/errors.ts'
import type { KinesisAccess } from '../kinesis-access.ts'
import type { SharedCheckpoints } from '../following.ts'
import type { LeaseStore } from './lease.ts'
import { leaseSettingsOf } from './lease-settings.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { createSharedCheckpoints } from './shared-checkpoints.ts'

export interface DynamoDbLeasesOptions extends KinesisAccess, Partial<LeaseSettings> {
  /** The name of the table. Default: the name of the application, as in the KCL. */
  readonly tableName?: string
}

const tableNamePattern = /^[a-zA-Z0-9_.-]{3,255}$/

/**
 * Leases in a table of DynamoDB that the Kinesis Client Library can share. The table is made when
 * it is missing, with on-demand capacity. The client of DynamoDB is loaded by the first use.
 *
 * @param options how DynamoDB is reached: not that of the consumer, whose endpoint is Kinesis'
 * @throws SluiceError InvalidRequestException: DynamoDB does not take such a name, or a setting is
 *   not usable
 */
export function openDynamoDbLeases(options: DynamoDbLeasesOptions = {}): SharedCheckpoints {
  const { tableName, region, endpoint, credentials, ...settings } = options
  if (tableName !== undefined) checkName(`tableName: ${tableName}`, tableName)
  const access = defined({ region, endpoint, credentials })
  const store: LeaseStore = {
    async openLeases(scope, clock, signal) {
      const name = tableName ?? scope.application
      checkName(`application: ${name}`, name)
      const { openDynamoDbLeaseTable } = await import('./dynamodb-lease-table.ts')
      return openDynamoDbLeaseTable({ clock, access }, { scope, tableName: name }, signal)
    },
  }
  return createSharedCheckpoints(store, leaseSettingsOf(defined(settings)))
}

function checkName(subject: string, name: string): void {
  if (tableNamePattern.test(name)) return
  const rule = 'it has 3 to 255 letters, digits, _, - and .'
  throw invalidRequest(`${subject} is not the name of a table of DynamoDB: ${rule}`)
}
