/** The port with some of its methods replaced; everything else goes to the port itself. */
export function overriding<T extends object>(port: T, overrides: Partial<T>): T {
  return new Proxy(port, {
    get(target, property) {
      const replaced = Object.hasOwn(overrides, property)
      const value: unknown = Reflect.get(replaced ? overrides : target, property)
      // Private fields need the real object behind `this`.
      return typeof value === 'function' && !replaced ? (value.bind(target) as unknown) : value
    },
  })
}
