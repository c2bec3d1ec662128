// Sites in templates and inline functions, in two translation units: compiled twice, once with -DOTHER.
#include <logfold/logfold.h>

template <class... Arguments> int logged(const Arguments &...)
{
	return 1;
}
#define LOG(...) (lf_passes("LOG", __VA_ARGS__) ? logged(__VA_ARGS__) : 0)

inline int shared(int number)
{
	return lf_printf("inline %d\n", number);
}

template <class T> int of_type(T value)
{
	return LOG("template", value);
}

struct Counter {
	int counted = 0;
	int operator()(int number)
	{
		return counted += LOG("member %d", number);
	}
};

int other();

#ifdef OTHER
int other()
{
	return shared(1) + of_type(1);
}
#else
int main()
{
	Counter counter;
	auto lambda = [](int number) { return LOG("lambda %d", number); };

	for (int i = 0; i < 10; i++) {
		shared(i);
		of_type(i);
		of_type('a');
		other();
		counter(i);
		lambda(i);
	}
	return counter.counted == 10 ? 0 : 1;
}
#endif
