/** The words of dates in English (United States), as Java has them since version 9. */
export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

/** Monday first. */
export const dayNames = [
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
  'Sunday',
] as const

export const halfDayNames = ['AM', 'PM'] as const

export const eraNames = ['BC', 'AD'] as const

export const longEraNames = ['Before Christ', 'Anno Domini'] as const

/** `Sep`, `Tue`: months and days are cut to three letters. */
export function abbreviate(name: string): string {
  return name.slice(0, 3)
}
