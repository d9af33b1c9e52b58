import type { Clock } from '../base/clock.ts'
import type { ComparedValues } from '../cluster/state/compared-values.ts'
import type { LastValues } from '../cluster/state/last-values.ts'
import type { SharedState } from '../cluster/state/shared-state.ts'
import type { Config } from '../config/config.ts'
import type { HttpListener } from '../http/server/http-listener.ts'
import type { LogLevels } from '../telemetry/logger.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { OtherNodes } from './cluster/nats-nodes.ts'
import type { ClusterRecords } from './cluster/lanes-stage.ts'
import type { SharedSources } from './shared-sources.ts'
import type { TemplateOptions } from './template-stage.ts'

type ReachNodes = (metrics: Metrics) => OtherNodes

export interface AppDependencies {
  readonly config: Config
  /** Without levels, changes of its level have no effect. */
  readonly logger: Logger & { readonly logLevels?: LogLevels | undefined }
  readonly clock: Clock
  /** An environment of the data folder whose file is lost begins anew. Default: it is refused. */
  readonly beginsAnew?: boolean | undefined
  /** Stack templates that the lab runs. */
  readonly templates?: TemplateOptions | undefined
  /** What the nodes of a cluster share. Undefined: the engine has folders and files of its own. */
  readonly sharedState?:
    | {
        readonly state: SharedState
        /** Of event source mappings. Undefined: they are in the state. */
        readonly leases?: SharedState | undefined
        readonly clusterName: string
        /** Undefined: accepted records are in the outbox of this engine. */
        readonly records?: ClusterRecords | undefined
        /** Undefined: retained messages are those of this engine. */
        readonly retained?: LastValues | undefined
        /** Undefined: shadows are those of this engine. */
        readonly shadows?: ComparedValues | undefined
        /** Undefined: subscribers get what is published at this engine. */
        readonly reachNodes?: ReachNodes | undefined
      }
    | undefined
  /** What is read of it, once it is open. */
  readonly shared?: SharedSources | undefined
  /** Where accepted records are, in an engine that is part of a cluster. */
  readonly records?: ClusterRecords | undefined
  /** Retained messages, in an engine that is part of a cluster. */
  readonly retainedValues?: LastValues | undefined
  /** Device shadows, in an engine that is part of a cluster. */
  readonly shadowValues?: ComparedValues | undefined
  /** Makes the way to subscribers of other nodes, in an engine that is part of a cluster. */
  readonly reachNodes?: ReachNodes | undefined
  /** The HTTP port, which a node of a cluster opens before it waits for the others. */
  readonly httpListener?: HttpListener | undefined
  /** Aborts when the process is to stop, also while it is starting. Default: never. */
  readonly signal?: AbortSignal | undefined
}
