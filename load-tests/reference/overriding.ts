/** The port with some of its methods replaced; everything else goes to the port itself. */
export function overriding<T extends object>(port: T, overrides: Partial<T>): T {
  return withMethods(port, overrides)
}

/** The same where the compiler cannot know the names of the methods. */
export function withMethods<T extends object>(port: T, methods: object): T {
  return new Proxy(port, {
    get(target, property) {
      const replaced = Object.hasOwn(methods, property)
      const value: unknown = Reflect.get(replaced ? methods : target, property)
      // Private fields need the real object behind `this`.
      return typeof value === 'function' && !replaced ? (value.bind(target) as unknown) : value
    },
  })
}
