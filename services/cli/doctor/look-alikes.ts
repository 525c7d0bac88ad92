import { printable } from '../../../shared/printable.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { DeviceName } from '../argument-parsers.ts'
import type { Finding } from './health-checks.ts'

/** Devices that are compared; of a larger fleet the first. */
export const MAX_COMPARED = 100_000
/** Pairs that are named; the rest is counted. */
const MAX_SHOWN = 5

/** Letters of Cyrillic and Greek that look like Latin ones, each followed by that one. */
const CONFUSABLE = new Map(
  'аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwкkмmнhтtвbαaοoρpυuνvτtιiκkχxεeηnγy'.match(/../gu)?.map((pair) => {
    const [other = '', latin = ''] = pair
    return [other, latin]
  }),
)

/** What is left of a name for an eye that does not look closely: equal for names that look alike. */
function seen(name: string): string {
  const folded = name.normalize('NFKC').toLowerCase().normalize('NFKC')
  const letters = folded
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[\p{Script=Cyrillic}\p{Script=Greek}]/gu, (letter) => CONFUSABLE.get(letter) ?? letter)
  return letters.replace(/\s+/gu, ' ').trim()
}

/** Devices whose names differ and look alike: in case, composition, width, blanks, or a letter of another script. */
export function checkLookAlikes(devices: readonly DeviceName[], more: boolean): Finding {
  const check = 'names'
  const groups = Map.groupBy(devices, ({ tenant, device }) => JSON.stringify([seen(tenant), seen(device)]))
  const alike = [...groups.values()].filter(({ length }) => length > 1)
  const compared = more ? `of the first ${devices.length} devices` : `of ${devices.length} devices`
  if (alike.length === 0) return { check, health: 'ok', detail: `${compared} no two look alike` }
  const shown = alike.slice(0, MAX_SHOWN).map((group) => group.slice(0, MAX_SHOWN).map(written).join(' and '))
  const rest = alike.length > MAX_SHOWN ? `; and ${alike.length - MAX_SHOWN} more` : ''
  const fix = 'They are different devices. If one was meant, remove the other.'
  return { check, health: 'warn', detail: `${compared} some look alike: ${shown.join('; ')}${rest}`, fix }
}

/** With what tells it from the others. */
function written({ tenant, device }: DeviceName): string {
  const points = Array.from(device, (character) => {
    if (character <= '~') return ''
    return ` U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
  })
  const beyond = points.join('')
  return `"${printable(deviceKey(tenant, device))}"${beyond === '' ? '' : ` (${beyond.trim()})`}`
}
