import type { CompiledStatement } from '../../sql/sql.ts'
import type { CompiledTemplate } from '../../sql/template.ts'
import type { TextCheck } from './action-template.ts'

/**
 * Warns of a template that gives its field no valid text, whatever topic under FROM a message has:
 * `${topic()}` as the name of a stream, where the topics have slashes. Nothing is refused, because
 * Basic Ingest runs the rule on other topics, too.
 *
 * @param field the name of the field, e.g. `actions[0].kinesis.streamName`
 * @param check what the field takes
 */
export function warnOfTopics(
  statement: CompiledStatement,
  { samples }: CompiledTemplate,
  field: string,
  check: TextCheck,
): void {
  const [first] = samples
  const problem = first && check(first.text)
  if (problem === undefined || samples.some(({ text }) => check(text) === undefined)) return
  // Without the topic the field must do, so that the topic is what is wrong.
  if (samples.every(({ withoutTopic }) => check(withoutTopic) !== undefined)) return
  const from = `FROM '${statement.topicFilter}'`
  statement.warn(
    `${field} can take no topic of ${from}, so that the action delivers none: ${problem}`,
  )
}
