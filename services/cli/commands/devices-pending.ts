import type { Command } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import { parseDeviceName, type DeviceName } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'
import { loginText, type NewLogin } from './login-text.ts'
import { printable } from '../../../shared/printable.ts'

interface PendingAnswer extends DeviceName {
  readonly by: 'login' | 'topic' | 'payload'
  readonly who: string
  readonly topic: string | null
  readonly lastAt: string
  readonly times: number
}

export function addDevicesPending(devices: Command, { run }: Pick<Commands, 'run'>): void {
  devices
    .command('pending')
    .description('unknown devices that were refused, whose topics were published to, or that payloads named')
    .action(run(listPending))
  devices
    .command('accept')
    .description('create a pending device; prints its secret and token, once')
    .argument('<tenant/device>', 'name of the device, as in the list', parseDeviceName)
    .action(run(acceptDevice))
}

async function listPending(session: Session): Promise<void> {
  const answer = await session.api.get<{ pending: PendingAnswer[] }>('/v1/devices/pending')
  session.result(answer, () => {
    if (answer.pending.length === 0) return 'No unknown device was refused recently.'
    const rows = answer.pending.map((it) => {
      return [`${it.tenant}/${it.device}`, it.lastAt, String(it.times), seenBy(it)]
    })
    const table = textTable(['device', 'last', 'times', 'refused'], rows)
    return `${table}\n\n${printable(`Accept one: ./sluice devices accept ${answer.pending[0]?.tenant}/${answer.pending[0]?.device}`)}`
  })
}

function seenBy({ by, who, topic }: PendingAnswer): string {
  if (by === 'login') return 'logged in'
  return by === 'topic' ? `${who} published to ${topic ?? ''}` : `${who} named it in a payload`
}

async function acceptDevice(session: Session, name: DeviceName): Promise<void> {
  const { pending } = await session.api.get<{ pending: PendingAnswer[] }>('/v1/devices/pending')
  if (!pending.some(({ tenant, device }) => tenant === name.tenant && device === name.device)) {
    const what = `${name.tenant}/${name.device} is not pending`
    throw new SluiceError('not_found', `${what}; \`sluice devices add\` makes a device that nobody asked for`)
  }
  const added = await session.api.post<DeviceName & NewLogin>('/v1/devices', name)
  session.result(added, () => {
    const text = loginText(`device ${name.tenant}/${name.device}`, added)
    return `${text}\n\nA device with a client certificate of this name needs neither.`
  })
}
