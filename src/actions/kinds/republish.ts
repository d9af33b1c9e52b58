import { Type } from 'typebox'
import { invalidField, orFault, shorten } from '../../base/errors.ts'
import { findTopicTextFault, parseBasicIngest } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
import type { Message } from '../../message.ts'
import type { CompiledStatement } from '../../sql/sql.ts'
import { compileField, noTemplate } from '../action/compile-field.ts'
import { warnOfTopics } from '../action/warn-of-topics.ts'
import { fieldOfAction } from '../action/action.ts'
import type {
  ActionContext,
  ActionFailure,
  ActionOutcome,
  CompiledAction,
} from '../action/action.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { compileMqttHeaders } from '../action/mqtt-headers.ts'
import type { MqttHeadersDefinition } from '../action/mqtt-headers.ts'

/** Characters that a message shows of a text from outside. */
const shownCharactersMax = 140

/**
 * AWS IoT's RepublishAction. `topic` and the headers take templates. Only the form of the role is
 * checked. It is never assumed, because this process has the broker.
 */
export interface RepublishActionDefinition {
  readonly roleArn: string
  readonly topic: string
  readonly qos?: 0 | 1 | undefined
  readonly headers?: MqttHeadersDefinition | undefined
}

/** AWS IoT API Reference, RepublishAction and MqttHeaders. */
export const republishActionSchema = Type.Object(
  {
    roleArn: roleArnType,
    topic: textType,
    qos: Type.Optional(Type.Enum([0, 1])),
    headers: Type.Optional(
      Type.Object(
        {
          payloadFormatIndicator: optionalTextType,
          contentType: optionalTextType,
          responseTopic: optionalTextType,
          correlationData: optionalTextType,
          messageExpiry: optionalTextType,
          userProperties: Type.Optional(
            Type.Array(Type.Object({ key: textType, value: textType }, closed), {
              minItems: 1,
              maxItems: 100,
            }),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
)

/** How often rules may republish one message in a row. A loop of rules ends here. */
const republishDepthMax = 10

/** Topics to which AWS IoT does not republish. */
const jobTopic = /^\$aws\/things\/[^/]+\/jobs(?:\/|$)/

/**
 * The republish action of a rule: it makes one message per message, and rules run on that one too.
 *
 * Rules see the new message as on AWS: the role publishes it over HTTP, so `clientid()` is `n/a`,
 * and `principal()`, `sourceip()` and `traceid()` are not those of the device. `timestamp()` is
 * that of the original message.
 *
 * The faults of the context get a SqlParseException for a template, an InvalidRequestException for
 * a constant topic to which nothing can be published; both name the field.
 */
export function compileRepublishAction(
  definition: RepublishActionDefinition,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  const place = `${fieldOfAction(context.index)}.republish`
  const field = `${place}.topic`
  const { topicLimits, payloadBytesMax = payloadBytesMaxDefault, faults } = context
  const topic =
    orFault(faults, () => compileField(definition.topic, statement, field)) ?? noTemplate
  const headers = compileMqttHeaders(definition.headers ?? {}, statement, {
    place: `${place}.headers`,
    topicLimits,
    faults,
  })
  if (topic.constant !== undefined) {
    const problem = topicOf(topic.constant, topicLimits).problem
    if (problem) faults.push(invalidField(field, `: ${problem}`))
  }
  warnOfTopics(statement, topic, field, (text) => topicOf(text, topicLimits).problem)

  return {
    kind: 'republish',
    constantStreams: [],
    apply(scope, output, { republishDepth = 0, timestampMs }) {
      const text = topic.expand(scope)
      const { target, problem } = topicOf(text, topicLimits)
      const fail = (code: ActionFailure['code'], message: string, where: string) =>
        failed({ code, message, where, resource: text })
      if (target === undefined) return fail('TemplateFailed', problem, field)
      if (republishDepth >= republishDepthMax) {
        const reason = `the message was republished ${republishDepth} times already: rules in a circle?`
        return fail('ActionFailed', reason, place)
      }
      if (output.length > payloadBytesMax) {
        const reason = `the message has ${output.length} bytes; MQTT takes ${payloadBytesMax} here`
        return fail('ActionFailed', reason, place)
      }
      const properties = headers.expand(scope)
      if ('problem' in properties) {
        return fail('TemplateFailed', properties.problem, properties.where)
      }
      const message: Message = {
        ...target,
        payload: output,
        qos: definition.qos ?? 0,
        retain: false,
        transport: 'http',
        timestampMs,
        republishDepth: republishDepth + 1,
        mqtt5: properties.mqtt5,
      }
      return { ok: true, records: [], messages: [message] }
    },
  }
}

function failed(failure: ActionFailure): ActionOutcome {
  return { ok: false, failure }
}

type Target =
  | { readonly target: Pick<Message, 'topic' | 'basicIngestRule'>; readonly problem?: undefined }
  | { readonly target?: undefined; readonly problem: string }

/**
 * A template writes a topic that begins with `$` as `$$`, as on AWS, so that no rule republishes to
 * a reserved topic by mistake.
 *
 * @param text what the template expanded to
 */
function topicOf(text: string, limits: TopicLimits | undefined): Target {
  if (!text.startsWith('$')) return checked(text, text, limits)
  if (!text.startsWith('$$')) {
    return {
      problem: `the topic "${shorten(text, shownCharactersMax)}" begins with $: a reserved topic is written $$`,
    }
  }
  const topic = text.slice(1)
  if (!topic.startsWith('$aws/') || jobTopic.test(topic)) {
    return {
      problem: `nothing can be republished to the topic "${shorten(topic, shownCharactersMax)}"`,
    }
  }
  const basicIngest = topic.startsWith('$aws/rules/')
  // The broker's own check refuses all reserved topics except those of Basic Ingest.
  return checked(topic, basicIngest ? topic : topic.slice(1), limits)
}

function checked(topic: string, toCheck: string, limits: TopicLimits | undefined): Target {
  const fault = findTopicTextFault(toCheck, limits)
  if (fault) return { problem: `"${shorten(topic, shownCharactersMax)}": ${fault.detail}` }
  const basicIngest = parseBasicIngest(topic)
  if (basicIngest === undefined) return { target: { topic } }
  return { target: { topic: basicIngest.topic, basicIngestRule: basicIngest.rule } }
}
