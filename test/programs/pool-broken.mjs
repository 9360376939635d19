// A module that cannot be imported.
throw new Error("broken on purpose");
