/**
 * Files that answer for services of AWS in the lab, read anew for each call:
 *
 *     dynamodb/<table>.json                     the items of a table, a list of objects
 *     secrets/<name>.json                       the SecretString: an object, or a text in quotes
 *     secrets/<name>.bin                        the bytes of the SecretBinary
 *     shadows/<thing>.json                      the unnamed shadow of a thing
 *     shadows/<thing>/<shadow>.json             a named shadow
 *     registry/DescribeThing/<thing>.json       the answer of the operation
 *     registry/ListThingGroupsForThing/<thing>.json
 *
 * Invariant: names of tables, secrets, things and shadows have the form that AWS demands, and lead
 * to no other file than their own.
 */
import type {
  DynamoDbKey,
  DynamoDbRequest,
  RegistryRequest,
  SecretRequest,
  ThingShadowRequest,
} from '../sql/externals/external-request.ts'
import { readJson } from '../sql/values/json-reader.ts'
import { decimalOf, numberFromText } from '../sql/values/numbers.ts'
import { isArray, isNumber, isObject, memberOf } from '../sql/values/values.ts'
import type { Value } from '../sql/values/values.ts'
import { valueOfSecret } from './secret-value.ts'
import type { StubFile, StubFiles } from './stub-files.ts'

/** The answers of stub files. Each rejects with an Error of one line that names the file. */
interface Stubs {
  /** The item with the keys, or Undefined when the table has none. */
  item(request: DynamoDbRequest): Promise<Value>
  secret(request: SecretRequest): Promise<Value>
  shadow(request: ThingShadowRequest): Promise<Value>
  registryAnswer(request: RegistryRequest): Promise<Value>
}

export function createStubs(files: StubFiles): Stubs {
  return {
    async item(request) {
      const { tableName, partitionKey, sortKey } = request
      const keys = sortKey === undefined ? [partitionKey] : [partitionKey, sortKey]
      const name = checkedName('a table of DynamoDB', tableName, forms.table)
      const stub = files.fileOf(['dynamodb'], name, '.json')
      const example = `[{${keys.map(exampleMember).join(',')},"note":"any members"}]`
      return itemIn(await jsonOf(stub, 'a list of items', example), keys, stub.file)
    },
    secret: async (request) => valueOfSecret(await secretIn(files, request), request),
    async shadow({ thingName, shadowName }) {
      const thing = checkedName('a thing', thingName, forms.thing)
      const stub =
        shadowName === undefined
          ? files.fileOf(['shadows'], thing, '.json')
          : files.fileOf(
              ['shadows', thing],
              checkedName('a shadow', shadowName, forms.shadow),
              '.json',
            )
      return objectOf(stub, 'a shadow document', '{"state":{"reported":{"temp":21}},"version":1}')
    },
    registryAnswer({ operation, thingName }) {
      const thing = checkedName('a thing', thingName, forms.thing)
      const stub = files.fileOf(['registry', operation], thing, '.json')
      return objectOf(stub, `an answer of ${operation}`, registryExamples[operation](thing))
    },
  }
}

const registryExamples: Readonly<Record<RegistryRequest['operation'], (thing: string) => string>> =
  {
    DescribeThing: (thing) =>
      `{"thingName":"${thing}","attributes":{"room":"kitchen"},"version":1}`,
    ListThingGroupsForThing: () =>
      '{"thingGroups":[{"groupName":"kitchen","groupArn":"arn:aws:iot:..."}]}',
  }

/** The forms of names in the API references of the services; an ARN may stand for some of them. */
const forms = {
  table: /^(?:arn:[^:/]*:dynamodb:[^:/]*:\d*:table\/)?(?<name>[\w.-]{1,255})$/,
  secret: /^(?:arn:[^:/]*:secretsmanager:[^:/]*:\d*:secret:)?(?<name>[\w/+=.@-]{1,512})$/,
  thing: /^(?<name>[\w:-]{1,128})$/,
  shadow: /^(?<name>[$\w:-]{1,64})$/,
} as const
/** What AWS appends to the name of a secret in its ARN. */
const secretSuffix = /-[a-zA-Z0-9]{6}$/
const shownCharactersMax = 100

function checkedName(what: string, given: string, form: RegExp): string {
  const name = form.exec(given)?.groups?.['name']
  if (name !== undefined) return name
  throw new Error(`${JSON.stringify(given.slice(0, shownCharactersMax))} is no name of ${what}`)
}

async function secretIn(files: StubFiles, { secretId, secretType }: SecretRequest) {
  const name = checkedName('a secret', secretId, forms.secret)
  const ending = secretType === 'SecretString' ? '.json' : '.bin'
  const stub = files.fileOf(['secrets'], name, ending)
  const isArn = name !== secretId
  const bytes =
    (await stub.read()) ??
    (isArn && secretSuffix.test(name)
      ? await files.fileOf(['secrets'], name.replace(secretSuffix, ''), ending).read()
      : undefined)
  if (secretType === 'SecretBinary') {
    if (bytes === undefined) throw absent(stub, 'the bytes of the secret', 'any bytes')
    return { text: undefined, base64: bytes.toString('base64') }
  }
  const form = 'an object, or a text in quotes'
  const example = '{"username":"me","password":"not-a-secret"}'
  if (bytes === undefined) throw absent(stub, form, example)
  const text = textOf(stub, bytes)
  const value = readJson(text)
  if (typeof value === 'string') return { text: value, base64: undefined }
  if (isObject(value)) return { text, base64: undefined }
  throw wrong(stub, form, example)
}

async function objectOf(stub: StubFile, what: string, example: string): Promise<Value> {
  const value = await jsonOf(stub, what, example)
  // Editors find the JSON Schema of the file by this member, which is no part of the answer.
  if (isObject(value)) return new Map([...value].filter(([name]) => name !== '$schema'))
  throw wrong(stub, what, example)
}

async function jsonOf(stub: StubFile, what: string, example: string): Promise<Value> {
  const bytes = await stub.read()
  if (bytes === undefined) throw absent(stub, what, example)
  const value = readJson(textOf(stub, bytes))
  if (value === undefined) throw wrong(stub, what, example)
  return value
}

/** The decoder drops a byte order mark. */
function textOf({ file }: StubFile, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (thrown) {
    throw new Error(`${file} is not UTF-8`, { cause: thrown })
  }
}

const absent = ({ file }: StubFile, what: string, example: string) =>
  new Error(`nothing answers in the lab yet: make ${file} with ${what}, such as ${example}`)

const wrong = ({ file }: StubFile, what: string, example: string) =>
  new Error(`${file} is not JSON with ${what}, such as ${example}`)

function itemIn(items: Value, keys: readonly DynamoDbKey[], file: string): Value {
  const example = `[{${keys.map(exampleMember).join(',')}}]`
  if (!isArray(items)) throw new Error(`${file} is no list of items, such as ${example}`)
  for (const [index, item] of items.entries()) {
    const key = keys.find(({ name, type }) => !hasType(memberOf(item, name), type))
    if (key === undefined) continue
    // DynamoDB has no such item, and refuses a key of another type than that of the table.
    const type = key.type === 'N' ? 'number' : 'text'
    throw new Error(
      `${file}: item ${index} has no ${type} ${JSON.stringify(key.name)}, which the statement ` +
        'names as a key of that type',
    )
  }
  return items.find((item) => keys.every((key) => isEqual(memberOf(item, key.name), key)))
}

const hasType = (value: Value, type: DynamoDbKey['type']) =>
  type === 'N' ? isNumber(value) : typeof value === 'string'

function isEqual(value: Value, { type, text }: DynamoDbKey): boolean {
  if (type === 'S') return value === text
  return isNumber(value) && decimalOf(value).equals(decimalOf(numberFromText(text)))
}

function exampleMember({ name, type, text }: DynamoDbKey): string {
  const shown = text.length > shownCharactersMax ? '...' : text
  return `${JSON.stringify(name)}:${type === 'N' ? text : JSON.stringify(shown)}`
}
