import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { valueOf, valuesByType } from './value.ts'

describe('by the type of x: Int 7, Decimal -2.5, 7.5 and abc as Strings, Boolean, ...', () => {
  test.for([
    ['abs(x)', '7 2.5 7.5 - - - - - -'],
    ['ceil(x)', '7 -2 8 - - - - - -'],
    ['floor(x)', '7 -3 7 - - - - - -'],
    ['round(x)', '7 -3 8 - - - - - -'],
    ['sign(x)', '1 -1 1 - - - - - -'],
    ['sqrt(x * x)', '7 2.5 7.5 - - - - - -'],
    ['acos(x)', '- - - - - - - - -'],
    ['asin(x)', '- - - - - - - - -'],
    ['ln(x)', '1.9459101490553132 - 2.0149030205422647 - - - - - -'],
    ['log(x)', '0.8450980400142568 - 0.8750612633917001 - - - - - -'],
    ['sqrt(x)', '2.6457513110645907 - 2.7386127875258306 - - - - - -'],
    ['power(x, 2)', '49 6.25 56.25 - - - - - -'],
    ['power(4, x)', '16384 0.03125 32768 - - - - - -'],
    ['atan2(x, 0)', '1.5707963267948966 -1.5707963267948966 1.5707963267948966 - - - - - -'],
    ['atan2(0, x)', '0 3.141592653589793 0 - - - - - -'],
    ['mod(x, 2)', '1 -0.5 1.5 - - - - - -'],
    ['remainder(20, x)', '6 0 5 - - - - - -'],
    ['bitand(x, 6)', '6 4 6 - - - - - -'],
    ['bitor(8, x)', '15 -3 15 - - - - - -'],
    ['bitxor(x, 1)', '6 -4 6 - - - - - -'],
    ['bitnot(x)', '-8 2 -8 - - - - - -'],
    ['trunc(x, 0)', '7 -2 7 - - - - - -'],
    ['trunc(2.123456789, x)', '2.1234567 2 2.1234567 - - - - - -'],
    ['nanvl(x, 3)', '7 -2.5 "7.5" "abc" true [1] {"a":1} 3 3'],
    ['nanvl(nope, x)', '7 -2.5 "7.5" "abc" true [1] {"a":1} null -'],
  ])('%s', ([expression = '', values]) => {
    expect(valuesByType(expression)).toBe(values)
  })

  test.for(['acos', 'asin', 'atan', 'cos', 'cosh', 'exp', 'ln', 'log', 'sin', 'sinh', 'sqrt'])(
    '%s of no number',
    (name) => expect(valuesByType(`${name}(x)`)).toMatch(/^\S+ \S+ \S+ - - - - - -$/),
  )
})

describe('double precision', () => {
  test.for([
    ['acos(0)', Math.PI / 2],
    ['asin(1)', Math.PI / 2],
    ['atan(1)', Math.PI / 4],
    ['cos(0)', 1],
    ['cosh(1)', 1.543080634815244],
    ['exp(1)', Math.E],
    ['ln(2.5)', 0.9162907318741551],
    ['log(1000)', 3],
    ['sin(-2.5)', -0.5984721441039564],
    ['sinh(2.3)', 4.936961805545957],
    ['sqrt(2)', Math.SQRT2],
    ['tan(3)', -0.1425465430742778],
    ['tanh(2.3)', 0.9800963962661914],
    ['power(2, 0.5)', Math.SQRT2],
    ['power(0, 0)', 1],
    ['atan2(1, 0)', Math.PI / 2],
    ['atan2(0.5, -0.5)', 2.356194490192345],
    ['atan(1E400)', Math.PI / 2],
    ['tanh(-1E400)', -1],
    ['exp(-1E400)', 0],
    ['cos(1E-400)', 1],
    ['sqrt(12345678901234567890123456789012)', 3513641828820144],
  ] as const)('%s is %d', ([expression, expected]) => {
    expect(Number(valueOf(expression))).toBeCloseTo(expected, 13)
  })

  test.for([
    ['acos(2)', 'imaginary'],
    ['asin(-1.5)', 'imaginary'],
    ['sqrt(-1)', 'imaginary'],
    ['ln(-1)', 'imaginary'],
    ['ln(0)', 'without bound'],
    ['log(0)', 'without bound'],
    ['exp(1000)', 'without bound'],
    ['sinh(1E400)', 'without bound'],
    ['power(10, 400)', 'without bound'],
    ['power(0, -1)', 'without bound'],
    ['power(-8, 0.5)', 'imaginary'],
    ['sin(1E400)', 'no number'],
    ['atan(1E1000)', 'an argument beyond the range of Decimals'],
  ])('%s is Undefined: %s', ([expression = '']) => {
    expect(valueOf(expression)).toBe('')
  })

  test('the result is a Decimal: 2015-10-08 shows it', () => {
    expect(valueOf('power(2, 5)', { version: '2015-10-08' })).toBe('32.0')
    expect(valueOf('power(2, 5)')).toBe('32')
    expect(valueOf("abs('5')", { version: '2015-10-08' })).toBe('5.0')
  })
})

describe('exact numbers', () => {
  const nines = '9'.repeat(34)
  test.for([
    [`abs(-${nines})`, nines],
    ['abs(2.50)', '2.50'],
    ['abs(-2.50)', '2.5'],
    ["abs('-0')", '0'],
    ['abs(-1E400)', '1E+400'],
    ['abs(1E1000)', ''],
    ['sign(1E-999)', '1'],
    ['sign(-0.0)', '0'],
    ['round(0.5)', '1'],
    ['round(-0.5)', '-1'],
    ['round(2.5)', '3'],
    ['round(-2.5)', '-3'],
    ['round(0.4999999999999999999999999999999999)', '0'],
    ['round(1E400)', '1E+400'],
    ['ceil(-0.5)', '0'],
    ["'x' + ceil(-0.5)", '"x0"'],
    ['ceil(1E-999)', '1'],
    ['floor(-1E-999)', '-1'],
    ['floor(-1.2)', '-2'],
    [`floor(${nines})`, nines],
    ['floor(12345678901234567890.9)', '12345678901234567890'],
    ['trunc(2.3, 0)', '2'],
    ['trunc(2.888, 1.9)', '2.8'],
    ['trunc(-2.888, 2)', '-2.88'],
    ['trunc(123.888, -1)', '123'],
    ['trunc(123.888, -1E400)', '123'],
    ['trunc(2.500, 2)', '2.5'],
    ['trunc(-0.5, 0)', '0'],
    ['trunc(0.1234567890123456789012345678901234, 33)', '0.123456789012345678901234567890123'],
    ['trunc(0.1234567890123456789012345678901234, 1E400)', `0.${'1234567890'.repeat(3)}1234`],
    ['trunc(1E400, 2)', '1E+400'],
    ["trunc('x', 2)", ''],
    ["trunc(2.888, 'x')", ''],
    ['mod(8, 3)', '2'],
    ['mod(-8, 3)', '-2'],
    ['mod(8, -3)', '2'],
    ['mod(8, 0)', ''],
    ['remainder(5.5, 2)', '1.5'],
    ["remainder('8', '3')", '2'],
    [`mod(${nines}, 10)`, '9'],
  ])('%s is %s', ([expression = '', expected]) => {
    expect(valueOf(expression)).toBe(expected)
  })

  test('trunc leaves no zeros under 2015-10-08 either', () => {
    expect(valueOf('trunc(2.3, 0)', { version: '2015-10-08' })).toBe('2')
    expect(valueOf("mod('8', 3)", { version: '2015-10-08' })).toBe('2.0')
    expect(valueOf('floor(2.5)', { version: '2015-10-08' })).toBe('2')
  })
})

describe('bits', () => {
  const nines = '9'.repeat(34)
  test.for([
    ['bitand(13, 5)', '5'],
    ['bitor(8, 5)', '13'],
    ['bitxor(13, 5)', '8'],
    ['bitnot(13)', '-14'],
    ['bitnot(0)', '-1'],
    ['bitand(-2, 255)', '254'],
    ['bitxor(-2, 255)', '-255'],
    ["bitor('13', '5.7')", '13'],
    ['bitxor(13.9, 5.1)', '8'],
    ['bitand(9007199254740993, 1)', '1'],
    ['bitor(9007199254740993, 1)', '9007199254740993'],
    ['bitxor(4294967297, 4294967295)', '8589934590'],
    [`bitand(${nines}, ${nines})`, nines],
    [`bitnot(${nines})`, ''], // 35 digits
    ['bitand(1E34, 1)', ''],
    ['bitand(1E999, 1)', ''],
    ['bitand(5, true)', ''],
  ])('%s is %s', ([expression = '', expected]) => {
    expect(valueOf(expression)).toBe(expected)
  })

  test('of two Ints are those of JavaScript, where it has them', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        const payload = JSON.stringify({ a, b })
        expect(valueOf('[bitand(a, b), bitor(a, b), bitxor(a, b), bitnot(a)]', { payload })).toBe(
          JSON.stringify([a & b, a | b, a ^ b, ~a]),
        )
      }),
    )
  })
})

test('rand is what the environment gives, a number from 0 up to 1 without one', () => {
  expect(valueOf('rand()', { random: () => 0.25 })).toBe('0.25')
  expect(valueOf('rand()', { random: () => 0 })).toBe('0')
  const [first, second] = [Number(valueOf('rand()')), Number(valueOf('rand()'))]
  expect(first).toBeGreaterThanOrEqual(0)
  expect(first).toBeLessThan(1)
  expect(first).not.toBe(second)
})

test.for([
  'abs()',
  'abs(1, 2)',
  'power(2)',
  'trunc(2.5)',
  'mod(1)',
  'bitnot()',
  'rand(1)',
  'nanvl(1)',
])('%s has the wrong number of arguments: Undefined', (expression) =>
  expect(valueOf(expression)).toBe(''),
)
