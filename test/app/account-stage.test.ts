import { expect, test } from 'vitest'
import { dependsOnAccount } from '../../src/app/account-stage.ts'
import { openStore, payloadOf } from '../rules/rule-fixtures.ts'

const others = {
  mqtt: { namesAccount: () => false },
  accessKeys: { namesAccount: () => false },
}

/** The language takes any white space around a name. */
test.each([
  ["SELECT accountid() AS a FROM 'q/#'", true],
  ["SELECT AccountId  () AS a FROM 'q/#'", true],
  ["SELECT\naccountid() AS a FROM 'q/#'", true],
  ["SELECT\taccountid() AS a FROM 'q/#'", true],
  ["SELECT accountid\n() AS a FROM 'q/#'", true],
  ["SELECT accountid\r\n\t\f\v() AS a FROM 'q/#'", true],
  ["SELECT account FROM 'q/#'", false],
])('a rule whose statement is %j waits for the account: %s', async (sql, waits) => {
  const { store } = await openStore()
  await store.create('r', payloadOf(undefined, { sql }), {})
  expect(dependsOnAccount({ ...others, rules: store })).toBe(waits)
})
