import { chmod } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  createAccessKey,
  openAccessKeys,
  parseAccessKeys,
} from '../../../src/identity/access-keys/access-keys.ts'
import { readSecretFile, writeSecretFile } from '../../../src/storage/secret-file.ts'
import { createWatchedLog, temporaryFolder } from '../identity-fixtures.ts'

const policy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
}
const secret = 'a-secret-that-nobody-knows'
const good = { accessKeyId: 'SLUICEONE', secretAccessKey: secret, policy }
const fileOf = (...accessKeys: unknown[]) => JSON.stringify({ accessKeys })

describe('the credentials file', () => {
  test('gives a key with its policy, session token and end', () => {
    const entry = { ...good, sessionToken: 't'.repeat(16), expiresAt: '2026-01-01T00:00:00Z' }
    const key = parseAccessKeys(fileOf(entry)).get('SLUICEONE')
    expect(key).toMatchObject({
      secretAccessKey: secret,
      sessionToken: 't'.repeat(16),
      expiresMs: Date.UTC(2026, 0, 1),
    })
    expect(key?.policy.decide({ action: 'iot:Publish', resource: '*' })).toBe('allow')
    expect(key?.policy.decide({ action: 'sluice:GetOutbox', resource: '*' })).toBe('implicitDeny')
  })

  test.each<[string, string, RegExp]>([
    ['no JSON', `{"accessKeys": [${secret}]}`, /^is not a JSON document$/],
    ['no list', '{}', /must be \{"accessKeys"/],
    ['a member beside it', '{"accessKeys": [], "x": 1}', /nothing beside it/],
    ['a key that is no object', fileOf(1), /accessKeys\[0\] must be an object/],
    ['an unknown member', fileOf({ ...good, polcy: 1 }), /accessKeys\[0\]\.polcy is not/],
    ['a short id', fileOf({ ...good, accessKeyId: 'a' }), /accessKeys\[0\]\.accessKeyId must/],
    ['a short secret', fileOf({ ...good, secretAccessKey: 'abc' }), /secretAccessKey must/],
    [
      'a blank in a secret',
      fileOf({ ...good, secretAccessKey: `${secret} ` }),
      /secretAccessKey must/,
    ],
    ['no policy', fileOf({ ...good, policy: undefined }), /accessKeys\[0\]\.policy: must be/],
    [
      'a bad policy',
      fileOf({ ...good, policy: { ...policy, Statement: [] } }),
      /Statement is missing/,
    ],
    ['a bad time', fileOf({ ...good, expiresAt: 'tomorrow' }), /expiresAt must be a time/],
    ['an id twice', fileOf(good, good), /SLUICEONE is listed twice/],
  ])('is refused with %s, and no secret is quoted', (_name, text, message) => {
    expect(() => parseAccessKeys(text)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message) }),
    )
    expect(() => parseAccessKeys(text)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(secret) }),
    )
  })

  test('comes into force as it changes; without it there are no keys', async () => {
    const file = path.join(await temporaryFolder(), 'credentials.json')
    const log = createWatchedLog()
    const keys = await openAccessKeys(log, { file })
    onTestFinished(() => keys.close())
    expect(keys.count).toBe(0)

    const pair = await createAccessKey(file, { policy })
    await log.nextLine()
    expect(keys.find(pair.accessKeyId)).toMatchObject(pair)
    expect(keys.find('nobody')).toBeUndefined()

    await writeSecretFile(file, fileOf(good))
    await log.nextLine()
    expect([keys.find(pair.accessKeyId), keys.count]).toEqual([undefined, 1])
    expect(JSON.stringify(log.lines)).not.toContain(secret)
  })
})

describe('a new key', () => {
  test('is added to those that are there', async () => {
    const file = path.join(await temporaryFolder(), 'credentials.json')
    await writeSecretFile(file, fileOf(good))
    const pair = await createAccessKey(file, { policy, description: 'terraform' })
    expect(pair.accessKeyId).toMatch(/^SLUICE[A-Z2-7]{14}$/)
    expect(pair.secretAccessKey).toMatch(/^[a-z2-7]{40}$/)
    const text = (await readSecretFile(file))?.text ?? ''
    expect([...parseAccessKeys(text).keys()]).toEqual(['SLUICEONE', pair.accessKeyId])
    expect(JSON.parse(text)).toMatchObject({ accessKeys: [good, { description: 'terraform' }] })
  })

  test('is refused where the file or the policy is not usable, and nothing is written', async () => {
    const file = path.join(await temporaryFolder(), 'credentials.json')
    const malformed = expect.objectContaining({ code: 'MalformedPolicyException' })
    await expect(createAccessKey(file, { policy: {} })).rejects.toEqual(malformed)
    expect(await readSecretFile(file)).toBeUndefined()

    await writeSecretFile(file, 'x')
    const invalid = expect.objectContaining({ code: 'IdentityFileInvalid' })
    await expect(createAccessKey(file, { policy })).rejects.toEqual(invalid)
    await chmod(file, 0o644)
    await expect(createAccessKey(file, { policy })).rejects.toEqual(invalid)
  })
})
