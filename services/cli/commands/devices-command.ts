import type { Command } from 'commander'
import { devicePath } from '../../../shared/api-client.ts'
import { parseDeviceName, parseDuration, wholeNumber, type DeviceName } from '../argument-parsers.ts'
import type { Commands, ExitCode, Session } from '../session.ts'

interface CommandOptions {
  readonly qos: number
  /** Milliseconds. */
  readonly expires?: number
}

const MEANING: Readonly<Record<string, string>> = {
  delivered: 'The device is connected; the command was sent.',
  queued: 'The device is not connected; the command is queued in its session.',
  no_session: 'The device has no session subscribed to it; a gateway that subscribes on its behalf received it.',
}

/** Adds `devices command`. */
export function addDevicesCommand(devices: Command, { run }: Pick<Commands, 'run'>): void {
  devices
    .command('command')
    .description('publish to cmd/... of a device and report the outcome; exit code 1 if it has no session')
    .argument('<tenant/device>', 'name of the device', parseDeviceName)
    .argument('<name>', 'topic below cmd/, such as restart or valve/open')
    .argument('[payload]', 'payload, as text', '')
    .option('--qos <level>', 'QoS, 0 to 2', wholeNumber(0, 2), 1)
    .option('--expires <duration>', 'drop it unless the device connects within this time, such as 10m', parseDuration)
    .action(run(sendCommand))
}

async function sendCommand(
  session: Session,
  { tenant, device }: DeviceName,
  name: string,
  payload: string,
  { qos, expires }: CommandOptions,
): Promise<ExitCode> {
  const expiry = expires === undefined ? {} : { expirySeconds: Math.max(1, Math.ceil(expires / 1000)) }
  const body = { name, payload, qos, ...expiry }
  const answer = await session.api.post<{ result: string }>(`${devicePath(tenant, device)}/commands`, body)
  session.result(answer, () => `${answer.result}: ${MEANING[answer.result] ?? ''}`.trimEnd())
  return answer.result === 'no_session' ? 1 : 0
}
