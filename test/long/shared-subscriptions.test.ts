import { expect, test } from 'vitest'
import { checkSharing } from '../ingress/sharing/shared-model.ts'

test('1,000 groups whose members come and go', async () => {
  expect(await checkSharing(1_000, Date.now())).toBe(1_000)
}, 600_000)
