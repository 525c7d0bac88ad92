/** What a policy may say. Absent: whatever the next wider place says, and in the end the default. */
export interface PolicySettings {
  /** What a text is that would be a number without its quotes. */
  readonly quoted_numbers?: 'text' | 'number'
}

export type SettingName = keyof PolicySettings

/** Every setting has a value. */
export type Policy = Required<PolicySettings>

/** What holds where nobody said anything, and for every record that was stamped with no policy. */
export const DEFAULT_POLICY: Policy = {
  quoted_numbers: 'text',
}

interface Setting {
  /** What is taken, for a person. */
  readonly takes: string
  readonly allows: (value: unknown) => boolean
}

export const SETTINGS: Readonly<Record<SettingName, Setting>> = {
  quoted_numbers: oneOf('text', 'number'),
}

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name)
}

function oneOf(...values: readonly string[]): Setting {
  return {
    takes: `one of ${values.join(', ')}`,
    allows: (value) => typeof value === 'string' && values.includes(value),
  }
}
