import { expect, test } from 'vitest'
import { checkSharing } from './shared-model.ts'

test('each message is done once, by one member, while the group has any', async () => {
  expect(await checkSharing(30, 20_261_130)).toBe(30)
})
