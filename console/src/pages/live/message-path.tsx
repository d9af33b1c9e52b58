import { PayloadOf } from './payload-of.tsx'
import { bytes, clockTime, duration, grouped } from '../../parts/figures.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { pathOf } from '../../shell/route.ts'
import type { Row } from './seen.ts'

/** The path of one message, step by step. */
export function MessagePath({ row: { message, durableMs, records } }: { row: Row }) {
  return (
    <ol class="path">
      <li>
        received at {clockTime(message.at)}: {bytes(message.bytes)}, QoS {message.qos}
        {message.clientId !== undefined && (
          <>
            {' from '}
            <code>{visibleText(message.clientId)}</code>
          </>
        )}
        , message <code>{message.messageId}</code>
        <PayloadOf message={message} />
      </li>
      {message.rules.length === 0 && <li class="none">no rule has a filter for this topic</li>}
      {message.rules.map(({ ruleName, matched, because, actions }) => (
        <li key={ruleName} class={matched ? 'good' : 'none'}>
          <a href={pathOf('rules', ruleName)}>{ruleName}</a>{' '}
          {matched
            ? 'matched'
            : `did not match${because === undefined ? '' : `: ${visibleText(because)}`}`}
          {actions.map(({ kind, actionIndex, partitionKey, state, reason }) => (
            <div
              key={`${actionIndex} ${partitionKey ?? ''}`}
              class={state === 'failed' ? 'bad' : ''}
            >
              {kind} {state}
              {partitionKey !== undefined && (
                <>
                  {', key '}
                  <code>{visibleText(partitionKey)}</code>
                </>
              )}
              {reason !== undefined && `: ${visibleText(reason)}`}
            </div>
          ))}
        </li>
      ))}
      {(message.furtherRules ?? 0) > 0 && <li>and {message.furtherRules} further rules</li>}
      {durableMs !== undefined && <li class="good">on disk after {duration(durableMs)}</li>}
      {records.map((record) => (
        <li
          key={`${record.ruleName} ${record.actionIndex} ${record.sequenceNumber ?? record.latencyMs}`}
          class={record.reason === undefined ? 'good' : 'bad'}
        >
          {record.ruleName}: {record.kind} <code>{visibleText(record.destination)}</code>{' '}
          {record.reason === undefined
            ? `took it after ${duration(record.latencyMs)}`
            : `${record.followedBy === 'nothing' ? 'was dropped' : 'was given up'}: ${visibleText(record.reason)}`}
          {record.shardId !== undefined && (
            <div>
              <code>{record.shardId}</code>, sequence number <code>{record.sequenceNumber}</code>
              {record.callRecords !== undefined && `, in a call of ${grouped(record.callRecords)}`}
            </div>
          )}
          {record.followedBy === 'deadLetter' && (
            <div>
              <a href={pathOf('dead-letters', undefined, { rule: record.ruleName })}>
                It is a dead letter now
              </a>
            </div>
          )}
        </li>
      ))}
    </ol>
  )
}
