import { SluiceError } from '../../../shared/errors.ts'
import {
  collectDeviceName,
  collectTag,
  parseDeviceName,
  parseName,
  wholeNumber,
  type DeviceName,
} from '../argument-parsers.ts'
import { devicePath } from '../../../shared/api-client.ts'
import { printable } from '../../../shared/printable.ts'
import { collectPages } from '../pages.ts'
import type { Commands, Session } from '../session.ts'
import { fieldTable, type StreamAnswer } from '../field-table.ts'
import { clockText, presenceText, type ClockAnswer, type PresenceAnswer } from '../device-texts.ts'
import { textTable } from '../../../shared/text-table.ts'
import { addDevicesCommand } from './devices-command.ts'
import { addDevicesImport } from './devices-import.ts'
import { addDevicesPending } from './devices-pending.ts'
import { loginText, type NewLogin } from './login-text.ts'
import { addLoginCommands } from './logins.ts'

interface DeviceAnswer {
  readonly tenant: string
  readonly device: string
  readonly uid?: string
  readonly tags: Readonly<Record<string, string>>
  readonly createdAt: string | null
  readonly lastSeen: string | null
  readonly connected?: boolean
  readonly lastHeard?: string | null
}

interface DeviceDetails extends DeviceAnswer {
  readonly disabled: boolean
  readonly credentials?: readonly {
    readonly id: string
    readonly username: string
    readonly kind: string
    readonly createdAt: string
    readonly lastUsed: string | null
    readonly expiresAt: string | null
  }[]
  readonly streams: readonly StreamAnswer[]
  /** Cursor of the fields beyond those. */
  readonly moreFields?: string | null
  readonly presence?: PresenceAnswer
  readonly clock?: ClockAnswer | null
  readonly limits?: readonly {
    readonly code: string
    readonly limit: number
    readonly since: string | null
    readonly last: string | null
    readonly count: number
  }[]
}

export function addDevices({ program, run }: Commands): void {
  const devices = program.command('devices').description('logins of devices')
  devices
    .command('add')
    .description('create a device, and its tenant on first use; prints its secret and token, once')
    .argument('<tenant/device>', 'name of the device', parseDeviceName)
    .option('--tag <key=value>', 'tag of the device; repeatable', collectTag)
    .option('--adopt <uid-or-name>', 'take on the readings of a removed device: its uid, or its last name')
    .action(run(addDevice))
  devices
    .command('rename')
    .description('give a device another name; its readings and its credentials stay as they are')
    .argument('<tenant/device>', 'name of the device', parseDeviceName)
    .argument('<new name>', 'its new name, without the tenant')
    .action(run(renameDevice))
  devices
    .command('list')
    .description('list devices by name')
    .option('--tenant <name>', 'only this tenant', parseName)
    .option('--limit <count>', 'maximum number to list', wholeNumber(1, 1_000_000), 1000)
    .action(run(listDevices))
  devices
    .command('show')
    .description('show one device with its streams and fields')
    .argument('<tenant/device>', 'name of the device', parseDeviceName)
    .action(run(showDevice))
  devices
    .command('remove')
    .description('remove devices and their logins; their readings are kept')
    .argument('[tenant/device...]', 'names of the devices', collectDeviceName)
    .option('--all-of-tenant <name>', 'all devices of a tenant', parseName)
    .action(run(removeDevices))
  addDevicesImport(devices, { run })
  addDevicesCommand(devices, { run })
  addDevicesPending(devices, { run })
  addLoginCommands(
    devices,
    { run },
    {
      what: 'device',
      argument: '<tenant/device>',
      parse: parseDeviceName,
      nameOf: ({ tenant, device }) => `${tenant}/${device}`,
      pathOf: ({ tenant, device }) => devicePath(tenant, device),
    },
  )
}

async function addDevice(
  session: Session,
  name: DeviceName,
  { tag: tags, adopt }: { tag?: Record<string, string>; adopt?: string },
): Promise<void> {
  const added = await session.api.post<DeviceName & NewLogin>('/v1/devices', {
    ...name,
    ...(tags === undefined ? {} : { tags }),
    ...(adopt === undefined ? {} : { adopt }),
  })
  session.result(added, () => loginText(`device ${name.tenant}/${name.device}`, added))
}

async function renameDevice(session: Session, { tenant, device }: DeviceName, to: string): Promise<void> {
  const renamed = await session.api.post<DeviceName>(`${devicePath(tenant, device)}/rename`, { device: to })
  session.result(renamed, () => `${tenant}/${device} is now ${tenant}/${to}.`)
}

async function listDevices(session: Session, { tenant, limit }: { tenant?: string; limit: number }): Promise<void> {
  const { items, more } = await collectPages(limit, async (cursor, size) => {
    const page = await session.api.get<{ devices: DeviceAnswer[]; next: string | null }>('/v1/devices', {
      tenant,
      cursor,
      limit: size,
    })
    return { items: page.devices, next: page.next }
  })
  session.result({ devices: items, more }, () => {
    if (items.length === 0) return 'No devices. Create one: ./sluice devices add demo/first'
    const rows = items.map((it) => [
      `${it.tenant}/${it.device}`,
      it.connected === true ? 'online' : 'offline',
      it.lastHeard ?? 'never',
      it.lastSeen ?? 'never',
      tagText(it.tags),
    ])
    return (
      textTable(['device', 'connected', 'last heard', 'last seen', 'tags'], rows) +
      (more ? `\n... and more; see --limit and --tenant` : '')
    )
  })
}

async function showDevice(session: Session, { tenant, device }: DeviceName): Promise<void> {
  const found = await session.api.get<DeviceDetails>(devicePath(tenant, device))
  session.result(found, () => {
    const head = [
      ['device', `${tenant}/${device}`],
      ['uid', found.uid ?? device],
      ['tags', tagText(found.tags)],
      ['created', found.createdAt ?? ''],
      ['last seen', found.lastSeen ?? 'never'],
      ['last heard', found.lastHeard ?? 'never'],
      ['connected', presenceText(found.presence)],
      ['clock', clockText(found.clock)],
      ...(found.disabled ? [['login', 'disabled'] as const] : []),
    ] as const
    const credentials = (found.credentials ?? []).map((it) => [
      it.id,
      it.kind,
      it.username,
      it.createdAt,
      it.lastUsed ?? 'never',
      it.expiresAt ?? 'never',
    ])
    const limits = (found.limits ?? []).map((it) => [
      it.code,
      String(it.limit),
      String(it.count),
      it.since ?? '',
      it.last ?? '',
    ])
    const lines = head.map(([name, value]) => `${name.padEnd(10)} ${printable(value)}`.trimEnd())
    const columns = ['credential', 'kind', 'username', 'created', 'last used', 'ends']
    if (credentials.length > 0) lines.push('', textTable(columns, credentials))
    if (found.streams.length > 0) lines.push('', fieldTable(found.streams))
    if (typeof found.moreFields === 'string') lines.push('... and more: see .../fields of the API')
    if (limits.length > 0) lines.push('', textTable(['limit', 'allows', 'acted', 'since', 'last'], limits))
    return lines.join('\n')
  })
}

async function removeDevices(
  session: Session,
  names: readonly DeviceName[],
  { allOfTenant: tenant }: { allOfTenant?: string },
): Promise<void> {
  const [only, ...others] = names
  if (tenant === undefined && only !== undefined && others.length === 0) return removeDevice(session, only)
  if ((tenant === undefined) === (only === undefined)) {
    throw new SluiceError('bad_request', 'name the devices, or a tenant with --all-of-tenant')
  }
  let removed = 0
  if (tenant === undefined) {
    for (let start = 0; start < names.length; start += REMOVED_AT_ONCE) {
      removed += await removeMany(session, names.slice(start, start + REMOVED_AT_ONCE))
    }
  } else removed = await removeTenant(session, tenant)
  session.result(
    { removed },
    () => `Removed ${removed} ${removed === 1 ? 'device' : 'devices'}; their readings are kept.`,
  )
}

/** What the API takes. */
const REMOVED_AT_ONCE = 1_000

async function removeTenant(session: Session, tenant: string): Promise<number> {
  for (let removed = 0; ;) {
    const query = { tenant, limit: REMOVED_AT_ONCE }
    const { devices } = await session.api.get<{ devices: DeviceAnswer[] }>('/v1/devices', query)
    if (devices.length === 0) return removed
    removed += await removeMany(session, devices)
  }
}

async function removeMany(session: Session, names: readonly DeviceName[]): Promise<number> {
  const devices = names.map(({ tenant, device }) => ({ tenant, device }))
  const answer = await session.api.post<{ removed: DeviceName[] }>('/v1/devices/bulk-remove', { devices })
  return answer.removed.length
}

async function removeDevice(session: Session, { tenant, device }: DeviceName): Promise<void> {
  await session.api.delete(devicePath(tenant, device))
  session.result({ removed: `${tenant}/${device}` }, () => `Removed ${tenant}/${device}; its readings are kept.`)
}

function tagText(tags: Readonly<Record<string, string>>): string {
  return Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}
