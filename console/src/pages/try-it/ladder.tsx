import type { ComponentChildren } from 'preact'
import type { Evaluation, EvaluationError, WherePart } from '../../api/evaluate.ts'
import { bytes as sizeOf, grouped } from '../../parts/figures.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { fromBase64, hexOf, utf8Of } from './bytes.ts'

/** So much of a long text is shown. */
const shownMax = 20_000

/** What a rule makes of a message, step by step; the step that fails is open. */
export function Ladder({ evaluation }: { evaluation: Evaluation }) {
  const { matched, where, noMatch, outputBase64, actions, errors } = evaluation
  const isTopic = noMatch?.reason === 'topic'
  const failed = errors.filter((error) => error.where.includes('ctions[') || matched)
  return (
    <ol class="ladder">
      <li class={isTopic ? 'bad' : 'good'}>
        {isTopic ? visibleText(noMatch.message) : 'The topic is one of the rule.'}
      </li>
      {noMatch && !isTopic && (
        <li class="bad">
          {visibleText(noMatch.message)}
          {noMatch.where && <Where part={noMatch.where} />}
        </li>
      )}
      {matched && (
        <Step isOpen={false} head={where ? 'WHERE is true' : 'There is no WHERE: it matches.'}>
          {where && <Where part={where} />}
        </Step>
      )}
      {outputBase64 !== undefined && <Output base64={outputBase64} />}
      {actions.map((action, index) => {
        const [[kind, members] = ['', {}]] = Object.entries(action)
        return (
          <Step key={index} isOpen={false} head={headOf(kind, members)}>
            <Members members={members} />
          </Step>
        )
      })}
      {failed.map((error) => (
        <Failed key={error.where} error={error} />
      ))}
    </ol>
  )
}

function Step({
  head,
  isOpen,
  children,
}: {
  head: string
  isOpen: boolean
  children?: ComponentChildren
}) {
  return (
    <li class="good">
      {children === undefined ? (
        head
      ) : (
        <details open={isOpen}>
          <summary>{visibleText(head)}</summary>
          {children}
        </details>
      )}
    </li>
  )
}

function Failed({ error: { code, message, where } }: { error: EvaluationError }) {
  return (
    <li class="bad">
      {where}: {visibleText(message)} <span class="unit">{code}</span>
    </li>
  )
}

function Output({ base64 }: { base64: string }) {
  const bytes = fromBase64(base64)
  const text = utf8Of(bytes)
  const shown = text === undefined ? hexOf(bytes.subarray(0, shownMax / 4)) : indented(text)
  const line = (text ?? shown).replaceAll(/\s+/g, ' ')
  const head = line.length > 80 ? `${line.slice(0, 80)} ...` : line
  return (
    <Step isOpen={false} head={`output ${head}`}>
      <p class="unit">
        {sizeOf(bytes.length)}
        {text === undefined && ', no text: as hex'}
      </p>
      <Long text={shown} />
    </Step>
  )
}

/** JSON on lines of its own; every digit of a number stays only where it is short. */
function indented(text: string): string {
  if (/\d{16}/.test(text) || text.length > shownMax) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

function Long({ text }: { text: string }) {
  const rest = text.length - shownMax
  return (
    <pre>
      {visibleText(text.slice(0, shownMax))}
      {rest > 0 && `\n... and ${grouped(rest)} characters more`}
    </pre>
  )
}

/** What an action would send, in a line. */
function headOf(kind: string, members: Readonly<Record<string, unknown>>): string {
  const { streamName, partitionKey, shardId, topic, operation } = members
  if (typeof streamName === 'string' && kind === 'kinesis') {
    const shard = typeof shardId === 'string' ? shardId : 'shard not known yet'
    return `kinesis ${streamName}, key ${String(partitionKey)} -> ${shard}`
  }
  const rest = typeof topic === 'string' ? topic : typeof operation === 'string' ? operation : ''
  return `${kind} ${rest}`
}

const names: Readonly<Record<string, string>> = {
  streamName: 'stream',
  partitionKey: 'partition key',
  explicitHashKey: 'explicit hash key',
  hashKey: 'hash key',
  shardId: 'predicted shard',
}

function Members({ members }: { members: Readonly<Record<string, unknown>> }) {
  return (
    <dl>
      {Object.entries(members).map(([name, member]) => (
        <Member key={name} name={names[name] ?? name} member={member} />
      ))}
      {members['hashKey'] !== undefined && members['shardId'] === undefined && (
        <Member name="predicted shard" member="not known yet" />
      )}
    </dl>
  )
}

function Member({ name, member }: { name: string; member: unknown }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        {typeof member === 'object' ? (
          <Long text={JSON.stringify(member, null, 2)} />
        ) : (
          <code>{visibleText(typeof member === 'string' ? member : JSON.stringify(member))}</code>
        )}
      </dd>
    </>
  )
}

/** The parts of a condition with their values; those that are true are folded. */
function Where({ part: { text, value, note, parts } }: { part: WherePart }) {
  const shown = value.json ?? value.type
  const line = (
    <>
      <code>{visibleText(text)}</code> is <code>{visibleText(shown)}</code>
      {note !== undefined && ` (${note})`}
    </>
  )
  const mark = shown === 'true' ? 'is-true' : shown === 'false' ? 'is-false' : ''
  if (parts.length === 0) return <div class={`where ${mark}`}>{line}</div>
  return (
    <details class={`where ${mark}`} open={shown !== 'true'}>
      <summary>{line}</summary>
      {parts.map((each, index) => (
        <Where key={index} part={each} />
      ))}
    </details>
  )
}
