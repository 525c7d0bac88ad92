import { ERRORS, isErrorCode } from '../../shared/errors.ts'
import type { Fault } from '../../shared/faults.ts'

/** What is wrong, where in the payload, and what to do. */
export function faultText({ element, path, code, detail }: Fault): string {
  const where = [element === null || element === 0 ? [] : `[${element}]`, path ?? []].flat().join(' ')
  return `${where === '' ? '' : `${where}: `}${reasonText(code, detail)}`
}

/** Code, what exactly was wrong, and what to do. */
export function reasonText(code: string, detail: string): string {
  return `${code}: ${detail}${/[.!?]$/.test(detail) ? '' : '.'}${fixOf(code)}`
}

/** What to do, behind a blank; nothing for a code of a newer version. */
function fixOf(code: string): string {
  return isErrorCode(code) ? ` ${ERRORS[code].fix}` : ''
}
