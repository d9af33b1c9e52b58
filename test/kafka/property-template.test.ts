import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { readPropertyTemplate } from '../../src/kafka/property-template.ts'

const roleArn = 'arn:aws:iam::123456789012:role/secrets'

describe('a client property', () => {
  test.each([
    ['', []],
    ['b-1:9096,b-2:9096', ['b-1:9096,b-2:9096']],
    [
      "${get_secret('s', 'SecretString', 'username', '" + roleArn + "')}",
      [
        {
          function: 'get_secret',
          secretId: 's',
          secretType: 'SecretString',
          key: 'username',
          roleArn,
        },
      ],
    ],
    [
      "a-${ GET_SECRET('s','SecretBinary','" + roleArn + "') }-b",
      ['a-', { function: 'get_secret', secretId: 's', secretType: 'SecretBinary', roleArn }, '-b'],
    ],
    [
      "${get_secret('s', 'SecretBinary', '', '" + roleArn + "')}",
      [{ function: 'get_secret', secretId: 's', secretType: 'SecretBinary', roleArn }],
    ],
  ])('%s', (text, parts) => {
    expect(readPropertyTemplate(text)).toEqual(parts)
  })

  test.each([
    ['another function', '${clientid()}'],
    ['a value of the message', '${password}'],
    ['an argument that is no constant', "${get_secret(name, 'SecretString', 'k', 'r')}"],
    ['another type', "${get_secret('s', 'SecretText', 'k', 'r')}"],
    ['too few arguments', "${get_secret('s', 'SecretString')}"],
    ['an expression around it', "${get_secret('s', 'SecretString', 'k', 'r') + 'x'}"],
    ['no end', "${get_secret('s', 'SecretString', 'k', 'r')"],
  ])('is refused with %s', (_name, text) => {
    const read = () => readPropertyTemplate(text)
    expect(read).toThrow(SluiceError)
    expect(read).toThrow(/line 1, column/)
  })
})
