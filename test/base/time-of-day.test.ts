import { createAnswerCache } from '../../src/external/answer-cache.ts'
import { createKeepAlive } from '../../src/ingress/gate/keep-alive.ts'
import { createSessions } from '../../src/ingress/kept/sessions.ts'
import { createRoleCredentials } from '../../src/aws/call/credentials.ts'
import { createLimitedLog } from '../../src/telemetry/limited-log.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { describeUnmoved, hourMs, minuteMs, secondMs } from '../helpers/time-of-day.ts'
import { newRecord, openTestOutbox, temporaryDirectory } from '../outbox/outbox-parts.ts'

describeUnmoved({
  'the keepalive of a client': {
    run: (clock, step) => {
      const events: string[] = []
      const startMs = clock.monotonicMs()
      const keepAlive = createKeepAlive(clock, {
        isWaiting: () => false,
        ping: () => events.push('ping'),
        timedOut: () => events.push(`timed out after ${clock.monotonicMs() - startMs}`),
      })
      keepAlive.start(60)
      clock.advance(50 * secondMs)
      step()
      clock.advance(20 * secondMs)
      events.push('heard')
      keepAlive.heardAtMs = clock.monotonicMs()
      step()
      clock.advance(10 * minuteMs)
      return events
    },
    expected: ['heard', 'timed out after 160000'],
  },

  'the session of an absent client': {
    run: (clock, step) => {
      const ended: string[] = []
      const startMs = clock.monotonicMs()
      const sessions = createSessions(
        { clock, ended: (id) => ended.push(`${id} after ${clock.monotonicMs() - startMs}`) },
        { sessionsMax: 10, sessionExpiryMs: hourMs },
      )
      sessions.begin('a').connectionGone()
      clock.advance(10 * minuteMs)
      step()
      sessions.begin('b').connectionGone()
      clock.advance(3 * hourMs)
      sessions.stop()
      return ended
    },
    expected: ['a after 3600000', 'b after 4200000'],
  },

  'lines that are limited': {
    run: (clock, step) => {
      const lines: unknown[] = []
      const logger = createMemoryLogger(({ msg }) => lines.push(msg))
      const log = createLimitedLog({ logger, clock })
      for (let second = 0; second < 150; second++) {
        log.warnOnce('key', {}, `second ${second}`)
        clock.advance(secondMs)
        if (second % 50 === 20) step()
      }
      return lines
    },
    expected: ['second 0', 'second 60', 'second 120'],
  },

  'cached answers': {
    run: async (clock, step) => {
      const cache = createAnswerCache<number>({ clock }, { answersMax: 10, validMs: 5 * minuteMs })
      let asked = 0
      const answers: number[] = []
      for (let minute = 0; minute < 12; minute++) {
        answers.push(await cache.get('key', () => Promise.resolve(++asked)))
        clock.advance(minuteMs)
        if (minute % 5 === 2) step()
      }
      return answers
    },
    expected: [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3],
  },

  'the credentials of a role': {
    run: async (clock, step) => {
      let asked = 0
      const credentials = createRoleCredentials(
        {
          clock,
          logger: createMemoryLogger(() => undefined),
          // STS has a clock of its own, which nobody touches.
          assumeRole: () =>
            Promise.resolve({
              accessKeyId: `key ${++asked}`,
              secretAccessKey: 's',
              sessionToken: 't',
              expiresAtMs: clock.wallMs() + hourMs,
            }),
        },
        { roleArn: 'arn:aws:iam::000000000000:role/r' },
      )
      const keys: string[] = []
      for (let quarter = 0; quarter < 10; quarter++) {
        keys.push((await credentials.current()).accessKeyId)
        clock.advance(15 * minuteMs)
        if (quarter % 4 === 1) step()
      }
      return keys
    },
    expected: [1, 1, 1, 1, 2, 2, 2, 2, 3, 3].map((number) => `key ${number}`),
  },

  'the age of a record, and the time of its commit': {
    run: async (clock, step) => {
      const { outbox, metrics } = await openTestOutbox(temporaryDirectory(), {}, clock)
      const append = async (text: string) => {
        const appended = outbox.append([newRecord('a', 'k', text)])
        step()
        clock.advance(10)
        await appended
      }
      await append('1')
      clock.advance(minuteMs)
      await append('2')
      const [destination] = outbox.destinations()
      const records = outbox.read(destination?.id ?? 0, 0, { countMax: 9, bytesMax: 1_000 })
      step()
      const ages = records.map((record) => outbox.ageMs(record))
      const oldest = outbox.oldestAgeMs(destination?.id ?? 0)
      const { values } = await metrics.outboxCommitSeconds.get()
      const seconds = values.find(({ metricName }) => metricName?.endsWith('_sum'))?.value
      await outbox.close()
      return { ages, oldest, seconds: Math.round((seconds ?? 0) * 1_000) / 1_000 }
    },
    expected: { ages: [60_020, 10], oldest: 60_020, seconds: 0.02 },
  },
})
