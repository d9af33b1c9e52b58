import path from 'node:path'
import { labAccountId, labRegion, variables } from '../../config/config.ts'
import { labActionVariables } from '../../config/lab-action-variables.ts'
import { labActionsOf } from '../../config/lab-actions.ts'
import type { LabActionsConfig } from '../../config/lab-actions.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { readVariables } from '../../config/variable.ts'
import type { Environment } from '../../config/variable.ts'
import type { Variables } from '../../config/variables.ts'

/** The variables of commands that try rules without starting a server. */
export interface RuleSettings {
  readonly rulesDir: string
  readonly functionsDir: string
  readonly stubsDir: string
  readonly emulators: LabActionsConfig
  readonly protoDir: string | undefined
  readonly regex: Variables['SLUICE_REGEX']
  readonly firstVersion: Variables['SLUICE_SQL_2015']
  readonly region: string
  readonly accountId: string
  readonly topicLimits: TopicLimits
  readonly payloadBytesMax: number
}

const labActionNames = Object.keys(
  labActionVariables,
) as readonly (keyof typeof labActionVariables)[]

/**
 * Reads these and no settings of listeners, which an environment for production may hold.
 *
 * @throws SluiceError ConfigInvalid
 */
export function readRuleSettings(environment: Environment): RuleSettings {
  const read = readVariables(variables, environment, [
    'SLUICE_RULES_DIR',
    'SLUICE_FUNCTIONS_DIR',
    'SLUICE_PROTO_DIR',
    ...labActionNames,
    'SLUICE_REGEX',
    'SLUICE_SQL_2015',
    'AWS_REGION',
    'SLUICE_ACCOUNT_ID',
    'SLUICE_MQTT_TOPIC_BYTES_MAX',
    'SLUICE_MQTT_TOPIC_SLASHES_MAX',
    'SLUICE_MQTT_PAYLOAD_BYTES_MAX',
  ])
  return {
    rulesDir: path.resolve(read.SLUICE_RULES_DIR),
    functionsDir: path.resolve(read.SLUICE_FUNCTIONS_DIR),
    stubsDir: path.resolve(read.SLUICE_STUBS_DIR),
    emulators: labActionsOf(read),
    protoDir: read.SLUICE_PROTO_DIR && path.resolve(read.SLUICE_PROTO_DIR),
    regex: read.SLUICE_REGEX,
    firstVersion: read.SLUICE_SQL_2015,
    region: read.AWS_REGION ?? labRegion,
    accountId: read.SLUICE_ACCOUNT_ID ?? labAccountId,
    payloadBytesMax: read.SLUICE_MQTT_PAYLOAD_BYTES_MAX,
    topicLimits: {
      topicBytesMax: read.SLUICE_MQTT_TOPIC_BYTES_MAX,
      topicSlashesMax: read.SLUICE_MQTT_TOPIC_SLASHES_MAX,
    },
  }
}
