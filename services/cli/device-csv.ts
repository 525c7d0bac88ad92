import { checkNewDeviceName, checkNewName } from '../../shared/names.ts'
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import { readCsvRows } from '../../shared/csv.ts'
import type { DeviceName } from './argument-parsers.ts'

/** A device of a file, and the line where it begins. */
export interface DeviceRow extends DeviceName {
  readonly line: number
  readonly tags: Readonly<Record<string, string>>
}

export interface LineProblem {
  readonly line: number
  readonly problem: string
}

/** What the API takes. */
const MAX_TAGS = 32
const MAX_TAG_LENGTH = 256

/**
 * Devices from a table whose header is `tenant,device` and, in further columns, names of tags; empty cells are no tags.
 * Lines that are none are told, the others count. Error: `bad_request` for a file that is no such table at all.
 */
export function parseDeviceCsv(text: string): { readonly devices: DeviceRow[]; readonly problems: LineProblem[] } {
  const [head, ...rows] = readCsvRows(text)
  const header = head?.cells.map((cell) => cell.trim()) ?? []
  const columns = { tenant: header.indexOf('tenant'), device: header.indexOf('device') }
  if (columns.tenant < 0 || columns.device < 0) {
    throw new SluiceError('bad_request', 'the first line must name the columns: tenant, device, and one for each tag')
  }
  if (new Set(header).size < header.length || header.includes('')) {
    throw new SluiceError('bad_request', 'the first line has a column without a name, or a name twice')
  }
  const devices: DeviceRow[] = []
  const problems: LineProblem[] = []
  const lines = new Map<string, number>()
  for (const { line, cells } of rows) {
    const [tenant = '', device = ''] = [cells[columns.tenant]?.trim(), cells[columns.device]?.trim()]
    const entries = header.map((name, index): [string, string] => [name, cells[index]?.trim() ?? ''])
    const tags = entries.filter(([name, value]) => name !== 'tenant' && name !== 'device' && value !== '')
    const before = lines.get(`${tenant}/${device}`)
    const problem =
      before === undefined
        ? problemOf(cells.length, header.length, tenant, device, tags)
        : `${tenant}/${device} is already on line ${before}`
    if (problem !== undefined) {
      problems.push({ line, problem })
      continue
    }
    lines.set(`${tenant}/${device}`, line)
    devices.push({ line, tenant, device, tags: Object.fromEntries(tags) })
  }
  return { devices, problems }
}

function problemOf(
  cells: number,
  columns: number,
  tenant: string,
  device: string,
  tags: readonly [string, string][],
): string | undefined {
  if (cells !== columns) return `${cells} cells, but the first line has ${columns}`
  try {
    checkNewName('tenant', tenant)
    checkNewDeviceName(device)
  } catch (error) {
    return toSluiceError(error).message
  }
  if (tags.length > MAX_TAGS) return `${tags.length} tags; ${MAX_TAGS} at most`
  const long = tags.find(([name, value]) => name.length > MAX_TAG_LENGTH || value.length > MAX_TAG_LENGTH)
  return long === undefined ? undefined : `tag ${long[0].slice(0, 80)} is longer than ${MAX_TAG_LENGTH} characters`
}
